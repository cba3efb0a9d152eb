"""Where a route leads, as it is stored (sealed, as JSON) and opened for the moment of sending."""

from __future__ import annotations

from abc import abstractmethod
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from pydantic import Field

from beton.routing.addresses import check_headers, check_url
from beton.routing.outcomes import Destination
from beton.routing.signing import standard_key
from beton.signals import Value


class ChannelSettings(Value):
    """What every kind of destination has."""

    allow_insecure: bool = Field(default=False, exclude=True)
    """Whether the operator permits plain http and addresses of private networks: his word at the moment of use, never stored."""
    allow_local: bool = Field(default=True, exclude=True)
    """Whether this machine itself may be called; never stored."""

    @property
    @abstractmethod
    def address(self) -> str:
        """What pages show of it: enough to know it again, nothing secret."""

    @property
    def limit_key(self) -> str:
        """What a limit counts together, such as one Slack channel or one CRM account."""
        return self.address

    @property
    def batch(self) -> int:
        """Most messages that one request tells of."""
        return 1

    def cutoff(self, now: datetime) -> datetime | None:
        """Only what was written down by this instant may leave now; `None` where everything may. A daily mail waits for its hour so."""
        del now
        return None

    def check(self) -> None:
        """Refuse what could never be sent to, as `BadInput`: an address out of bounds, a malformed secret. Calls nobody."""

    def stored(self) -> dict[str, Any]:
        """What is sealed."""
        return self.model_dump(mode="json")


class WebhookSettings(ChannelSettings):
    """A signed webhook."""

    url: str = Field(repr=False, title="Address", description="Where signals are posted to, over https.")
    secret: str = Field(repr=False, title="Signing secret", description="Signs every message; made where none is given.")
    headers: tuple[tuple[str, str], ...] = Field(default=(), repr=False, title="Headers", description="Sent along, such as an Authorization.")
    """Names and values of the operator's own headers, such as an Authorization that the receiver asks for."""

    @property
    def address(self) -> str:
        """Scheme, host and port: no user, no path, no query."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"

    def check(self) -> None:
        """The URL, the headers and the secret."""
        check_url(self.url, allow_insecure=self.allow_insecure, allow_local=self.allow_local)
        check_headers(self.headers)
        standard_key(self.secret)

    def destination(self) -> Destination:
        """As the sender takes it."""
        return Destination(self.url, self.secret, self.headers, allow_insecure=self.allow_insecure, allow_local=self.allow_local)
