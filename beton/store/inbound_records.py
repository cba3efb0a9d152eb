"""What the store hands out of events that PostHog sends us."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, NamedTuple

from beton.signals import Value

SourceStatus = Literal["testing", "active", "off"]
EventStatus = Literal["arrived", "mapped", "matched", "fired", "ignored", "failed"]


class InboundSource(Value):
    """Where events of a connection come in. The address is nowhere: `inbound.addresses` tells how each begins."""

    id: str
    connection_id: str
    name: str
    status: SourceStatus
    mapping: dict[str, str]
    signed: bool
    problem: str | None
    problem_since: datetime | None
    listened_at: datetime | None
    created_at: datetime
    updated_at: datetime


class InboundAddress(Value):
    """One address of a source, by the beginning of its token; `ends_at` where it has been rotated."""

    shown: str
    created_at: datetime
    ends_at: datetime | None


class InboundEvent(Value):
    """One line of the event log."""

    id: str
    source_id: str
    event_uuid: str
    received_at: datetime
    status: EventStatus
    why_code: str | None
    why: str | None
    name: str | None
    happened_at: datetime | None
    signal_ids: tuple[str, ...]
    has_body: bool


class InboundHour(Value):
    """How much came in within the hour that begins here: taken, repeated (known already) and refused."""

    hour: datetime
    arrived: int
    repeated: int
    refused: int
    refusal: str | None


@dataclass(frozen=True)
class Listener:
    """All that is needed to take an event in: whose address this is, and what it has to look like."""

    workspace_id: str
    source_id: str
    connection_id: str
    status: SourceStatus
    mapping: Mapping[str, str]
    secret: str | None = field(repr=False)
    ends_at: datetime | None


class Taken(NamedTuple):
    """One event on its way into the store, its body in clear: in memory only."""

    workspace_id: str
    source_id: str
    connection_id: str
    event_uuid: str
    received_at: datetime
    body: str


class Waiting(NamedTuple):
    """One event that has been taken and not been looked at, its body in clear."""

    id: str
    event_uuid: str
    received_at: datetime
    body: str


class Looked(NamedTuple):
    """What became of one."""

    id: str
    status: EventStatus
    code: str | None = None
    why: str | None = None
    name: str | None = None
    at: datetime | None = None
    unit_keys: str = ""
    signal_ids: tuple[str, ...] = ()
    keep_body: bool = True
