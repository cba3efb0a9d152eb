"""Slack: a message in a channel, by an incoming webhook or a bot's `chat.postMessage`, with buttons to claim a signal and say what became of it.

Slack knows no id by which it would recognise a message that it was sent before, so that a lost answer leaves the delivery in doubt.

Shapes: https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks (`ok`, and texts such as `invalid_payload`),
https://docs.slack.dev/reference/methods/chat.postMessage (`ok`, `error`; "it's possible some aspect of the operation succeeded" for `fatal_error` and
`internal_error`), https://docs.slack.dev/apis/web-api/rate-limits (one message a second in a channel, `Retry-After` in seconds),
https://docs.slack.dev/authentication/verifying-requests-from-slack (`v0:timestamp:body`, five minutes),
https://docs.slack.dev/interactivity/handling-user-interaction (three seconds to acknowledge; `response_url`, five times within 30 minutes).
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import httpx
from pydantic import Field

from beton.errors import BadInput, Fault
from beton.routing.addresses import Resolve, check_url, resolve
from beton.routing.blocks import content
from beton.routing.destinations import ChannelSettings
from beton.routing.exchange import UNHURRIED, Reply, Service, Silence
from beton.routing.messages import Message
from beton.routing.outcomes import Outcome
from beton.routing.pinned import Reach
from beton.routing.webhook import Patience

PER_SECOND = 1.0
TOLERANCE = timedelta(minutes=5)
"""How old a click may be."""

API = "https://slack.com/api"
_PERHAPS_DONE = frozenset({"fatal_error", "internal_error"})
_LATER = frozenset({"ratelimited", "rate_limited", "service_unavailable", "request_timeout", "team_added_to_org", "message_limit_exceeded"})


class SlackSettings(ChannelSettings):
    """A channel in Slack: either an incoming webhook, or a bot token with a channel."""

    webhook_url: str | None = Field(
        default=None, repr=False, title="Incoming webhook", description="The address that Slack gave for one channel (https://hooks.slack.com/…)."
    )
    token: str | None = Field(
        default=None, repr=False, title="Bot token", description="Instead of a webhook: the app's token (xoxb-…) with the scope chat:write."
    )
    channel: str | None = Field(default=None, max_length=80, title="Channel", description="With a token: the channel's id, such as C0123456789.")
    signing_secret: str | None = Field(
        default=None,
        repr=False,
        title="Signing secret",
        description="Of the Slack app: lets its buttons answer. Without it messages have no buttons but Open.",
    )
    send_again: bool = Field(
        default=False,
        title="Send again when in doubt",
        description="Where Slack's answer was lost, send once more at the risk of a second message, instead of leaving it to a person.",
    )
    api_url: str = Field(default=API, title="Slack's API", description="Only for a proxy of your own.")

    @property
    def address(self) -> str:
        """The channel, or the host of the webhook."""
        return f"Slack {self.channel}" if self.webhook_url is None else f"Slack {urlsplit(self.webhook_url).hostname or ''}"

    @property
    def limit_key(self) -> str:
        """One channel; a webhook is known by its path, of which the digest tells nothing."""
        return self.address if self.webhook_url is None else f"Slack {hashlib.sha256(self.webhook_url.encode()).hexdigest()[:16]}"

    def check(self) -> None:
        """Either way of posting, whole and well-formed."""
        if (self.webhook_url is None) is (self.token is None):
            raise _refused("webhook_url", "Give either an incoming webhook or a bot token with a channel.")
        if self.webhook_url is not None:
            check_url(self.webhook_url, allow_insecure=self.allow_insecure, allow_local=self.allow_local)
        elif not re.fullmatch(r"xox[a-z]-[A-Za-z0-9-]{8,250}", self.token or ""):
            raise _refused("token", "This is not a bot token of Slack.")
        elif not re.fullmatch(r"[#@]?[A-Za-z0-9_.-]{1,80}", self.channel or ""):
            raise _refused("channel", "This is not the id of a channel.")
        if self.signing_secret is not None and not re.fullmatch(r"[A-Za-z0-9]{16,128}", self.signing_secret):
            raise _refused("signing_secret", "This is not a signing secret of Slack.")
        check_url(self.api_url, allow_insecure=self.allow_insecure, allow_local=self.allow_local)


async def send(
    destination: SlackSettings,
    message: Message,
    *,
    client: httpx.AsyncClient,
    clock: Callable[[], datetime],
    resolve: Resolve = resolve,
    patience: Patience = UNHURRIED,
) -> Outcome:
    """Post a message once."""
    secrets = _secrets(destination)
    base, headers = (destination.webhook_url, {}) if destination.webhook_url else (destination.api_url, _bearer(destination))
    service = Service(base, headers, secrets, _reach(destination), client, clock, resolve, patience)
    body = content(message if destination.signing_secret else message.model_copy(update={"signal_id": None}))
    if destination.webhook_url:
        return _of_webhook(await service.ask("POST", "", body), destination)
    posted = body | {"channel": destination.channel, "unfurl_links": False, "unfurl_media": False}
    return _of_api(await service.ask("POST", "/chat.postMessage", posted), destination)


async def answer(response_url: str, body: dict[str, Any], destination: SlackSettings, *, client: httpx.AsyncClient, clock: Callable[[], datetime],
                 resolve: Resolve = resolve, patience: Patience = UNHURRIED) -> Outcome:  # fmt: skip
    """Change the message in which somebody clicked, at the address that Slack gave with the click."""
    service = Service(response_url, {}, (response_url,), _reach(destination), client, clock, resolve, patience)
    reply = await service.ask("POST", "", body)
    return reply.outcome()


def is_from_slack(secret: str, timestamp: str, signature: str, body: bytes, *, now: datetime) -> bool:
    """Whether a request was signed with an app's secret, within five minutes of `now`."""
    if not re.fullmatch(r"[0-9]{1,12}", timestamp) or abs(now.timestamp() - int(timestamp)) > TOLERANCE.total_seconds():
        return False
    expected = "v0=" + hmac.digest(secret.encode(), b"v0:" + timestamp.encode() + b":" + body, hashlib.sha256).hex()
    return hmac.compare_digest(expected.encode(), signature.encode())


def _of_webhook(reply: Reply | Silence, destination: SlackSettings) -> Outcome:
    uncertain = not destination.send_again
    if isinstance(reply, Silence):
        return reply.outcome(uncertain=uncertain)
    return reply.outcome("in_doubt" if uncertain and _perhaps_done(reply.status) else None, None if reply.good else reply.head)


def _of_api(reply: Reply | Silence, destination: SlackSettings) -> Outcome:
    """Slack answers 200 to what it refuses as well, and says so in the body."""
    uncertain = not destination.send_again
    if isinstance(reply, Silence):
        return reply.outcome(uncertain=uncertain)
    error, ok = reply.object.get("error"), reply.object.get("ok")
    said = error if isinstance(error, str) else None
    if reply.good and ok is True:
        return reply.outcome()
    if reply.good and ok is False:
        return reply.outcome(
            ("in_doubt" if uncertain else "retry") if said in _PERHAPS_DONE else "retry" if said in _LATER else "refused", said or "no"
        )
    if reply.good or _perhaps_done(reply.status):  # a 200 that cannot be read says nothing of what was done
        return reply.outcome("in_doubt" if uncertain else "retry", said)
    return reply.outcome(said=said)


def _perhaps_done(status: int) -> bool:
    """A gateway that lost patience, or a server that stumbled, may have posted. 503 and 429 say that they have not."""
    return status >= 500 and status != 503


def _secrets(destination: SlackSettings) -> tuple[str, ...]:
    """What no text may hold: of a webhook's address also its path, and the end of that, which is the token."""
    path = urlsplit(destination.webhook_url or "").path
    known = (destination.webhook_url, path, path.rpartition("/")[2], destination.token, destination.signing_secret)
    return tuple(one for one in known if one and len(one) >= 8)


def _bearer(destination: SlackSettings) -> dict[str, str]:
    return {"Authorization": f"Bearer {destination.token}"}


def _reach(destination: SlackSettings) -> Reach:
    return Reach(destination.allow_insecure, destination.allow_local)


def _refused(field: str, message: str) -> BadInput:
    return BadInput(message, [Fault(field, message)], code="route.settings_invalid", fix="Correct the settings of the route; nothing was saved.")
