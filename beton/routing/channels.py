"""The kinds of destination there are, and what each can promise.

A channel is one module with `send(destination, message, *, client, clock, resolve) -> Outcome`, which raises nothing about its receiver. Its
settings are stored sealed, as JSON; where calls may go (plain http, this machine) is the operator's word, added when they are opened.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any, Literal, Protocol

import httpx

from beton.errors import BadInput
from beton.routing import webhook
from beton.routing.addresses import Resolve
from beton.routing.destinations import ChannelSettings, WebhookSettings
from beton.routing.messages import Message
from beton.routing.outcomes import Outcome
from beton.signals import ROUTE_KINDS

Medium = Literal["json", "mrkdwn", "text", "html"]
"""What `Message.body` is escaped for."""

Effect = Literal["idempotent", "uncertain"]
"""idempotent: a repetition with the same id does nothing, so that what was lost is sent again. uncertain: a repetition would be seen by people, so
that a lost answer is held for one of them to decide."""


class Send(Protocol):
    """One attempt. `destination` is an instance of the channel's settings; nothing about the receiver is raised."""

    def __call__(
        self, destination: Any, message: Message, *, client: httpx.AsyncClient, clock: Callable[[], datetime], resolve: Resolve = ...
    ) -> Awaitable[Outcome]: ...


class SendMany(Protocol):
    """One attempt of several messages at once, an outcome for each in their order."""

    def __call__(
        self, destination: Any, messages: Sequence[Message], *, client: httpx.AsyncClient, clock: Callable[[], datetime], resolve: Resolve = ...
    ) -> Awaitable[Sequence[Outcome]]: ...


@dataclass(frozen=True)
class Channel:
    """A kind of destination."""

    settings: type[ChannelSettings]
    send: Send
    effect: Effect
    medium: Medium
    per_second: float | None = None
    """Most requests a second to one destination, as `ChannelSettings.limit_key` tells them apart; `None` where nothing is known."""
    batch: int = 1
    send_many: SendMany | None = None
    """For more than one message in a request; takes up to `batch`."""


CHANNELS: Mapping[str, Channel] = MappingProxyType(
    {
        "webhook": Channel(settings=WebhookSettings, send=webhook.send, effect="idempotent", medium="json"),
    }
)


def channel(kind: str) -> Channel:
    """The channel of this kind; `BadInput` where there is none."""
    if kind not in CHANNELS:
        known = ", ".join(one for one in ROUTE_KINDS if one in CHANNELS)
        raise BadInput(f"There is no kind of route called {kind}.", fix=f"Choose one of: {known}.", code="route.kind_unknown")
    return CHANNELS[kind]
