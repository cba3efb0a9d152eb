"""The kinds of destination there are, and what each can promise.

A channel is one module with `send(destination, message, *, client, clock, resolve) -> Outcome`, which raises nothing about its receiver. Its
settings are stored sealed, as JSON; where calls may go (plain http, this machine) is the operator's word, added when they are opened.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any, Literal, Protocol, get_args

import httpx

from beton.errors import BadInput
from beton.routing import attio, hubspot, mail, posthog_writes, slack, webhook
from beton.routing.addresses import Resolve
from beton.routing.crm import Difference
from beton.routing.destinations import ChannelSettings, WebhookSettings
from beton.routing.messages import Message, MessageKind
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


class DryRun(Protocol):
    """What sending would change, found out by reading alone. Raises the `DestinationError` that it met."""

    def __call__(
        self, destination: Any, message: Message, *, client: httpx.AsyncClient, clock: Callable[[], datetime], resolve: Resolve = ...
    ) -> Awaitable[Difference]: ...


class SetUp(Protocol):
    """Prepare the receiver, such as by making Beton's own fields; what was made, by name. Raises the `DestinationError` that it met."""

    def __call__(
        self, destination: Any, *, client: httpx.AsyncClient, clock: Callable[[], datetime], resolve: Resolve = ...
    ) -> Awaitable[list[str]]: ...


ANYTHING: frozenset[MessageKind] = frozenset(get_args(MessageKind))
SIGNALS: frozenset[MessageKind] = frozenset(("signal", "test"))


@dataclass(frozen=True)
class Channel:
    """A kind of destination."""

    title: str
    """What people call it."""
    settings: type[ChannelSettings]
    send: Send
    effect: Effect
    medium: Medium
    takes: frozenset[MessageKind] = ANYTHING
    """What it can carry: a CRM has no place for a change of status."""
    per_second: float | None = None
    """Most requests a second to one destination, as `ChannelSettings.limit_key` tells them apart; `None` where nothing is known."""
    batch: int = 1
    """Most messages in one request to any destination of the kind; `ChannelSettings.batch` says how many to this one."""
    send_many: SendMany | None = None
    """For more than one message in a request; takes up to `batch`."""
    dry_run: DryRun | None = None
    set_up: SetUp | None = None


CHANNELS: Mapping[str, Channel] = MappingProxyType(
    {
        "webhook": Channel("Webhook", WebhookSettings, webhook.send, "idempotent", "json"),
        "slack": Channel("Slack", slack.SlackSettings, slack.send, "uncertain", "mrkdwn", per_second=slack.PER_SECOND),
        "email": Channel("E-mail", mail.MailSettings, mail.send, "uncertain", "text", batch=mail.BATCH, send_many=mail.send_many),
        "hubspot": Channel(
            "HubSpot",
            hubspot.HubSpotSettings,
            hubspot.send,
            "idempotent",
            "text",
            takes=SIGNALS,
            per_second=hubspot.PER_SECOND,
            batch=hubspot.BATCH,
            send_many=hubspot.send_many,
            dry_run=hubspot.dry_run,
            set_up=hubspot.set_up,
        ),
        "attio": Channel(
            "Attio",
            attio.AttioSettings,
            attio.send,
            "idempotent",
            "text",
            takes=SIGNALS,
            per_second=attio.PER_SECOND,
            dry_run=attio.dry_run,
            set_up=attio.set_up,
        ),
        "posthog_annotation": Channel(
            "PostHog annotation",
            posthog_writes.AnnotationSettings,
            posthog_writes.annotate,
            "idempotent",
            "text",
            per_second=posthog_writes.PER_SECOND,
        ),
        "posthog_cohort": Channel(
            "PostHog cohort",
            posthog_writes.CohortSettings,
            posthog_writes.add_to_cohort,
            "idempotent",
            "text",
            takes=SIGNALS,
            per_second=posthog_writes.PER_SECOND,
        ),
    }
)


def channel(kind: str) -> Channel:
    """The channel of this kind; `BadInput` where there is none."""
    if kind not in CHANNELS:
        known = ", ".join(one for one in ROUTE_KINDS if one in CHANNELS)
        raise BadInput(f"There is no kind of route called {kind}.", fix=f"Choose one of: {known}.", code="route.kind_unknown")
    return CHANNELS[kind]
