"""Sources and received events, as they are sent and taken in."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import AwareDatetime, BaseModel, Field, JsonValue

from beton.store.inbound_records import EventStatus, InboundEvent, SourceStatus
from beton.web.api.bodies import Body, Line, Name
from beton.web.api.resources import Listing, Sent
from beton.work.listening import Heard, Sample, Shown
from beton.work.mapping import LONGEST_PATH

Mapping = dict[str, Annotated[str, Field(max_length=LONGEST_PATH)]]
OwnSecret = Annotated[str, Field(min_length=1, max_length=512)]
_PARTS = (
    "Part of an event (`event_uuid`, `name`, `distinct_id`, `person_id`, `at`, `properties`, `person_properties`, `groups`) to its path in the body"
)


class NewSourceBody(Body):
    """A source for events of a connection."""

    name: Line
    connection: Name
    signed: bool = Field(default=False, description="Whether only what is signed (Standard Webhooks) is taken.")
    secret: OwnSecret | None = Field(default=None, description="A signing secret of your own. Null: one is made where `signed` is true.")
    mapping: Mapping | None = Field(default=None, description=f"{_PARTS}. Null: PostHog's default body.")


class SourceChange(Body):
    """What is to be otherwise. What is left out stays."""

    status: SourceStatus | None = Field(default=None, description="`active` needs an event that came and could be read.")
    mapping: Mapping | None = Field(default=None, description=f"{_PARTS}.")


class RotationBody(Body):
    """How long the former address is still answered."""

    grace_hours: float = Field(default=24, ge=0, le=720)


class SignatureBody(Body):
    """Whether events have to be signed."""

    signed: bool
    secret: OwnSecret | None = Field(default=None, description="A secret of your own. Null: one is made where `signed` is true.")


TAKEN_OF_SOURCES: tuple[type[BaseModel], ...] = (NewSourceBody, SourceChange, RotationBody, SignatureBody)


class SourceAddressRead(Sent):
    """One address of a source, of which only the beginning is known."""

    begins: str
    created_at: AwareDatetime
    ends_at: AwareDatetime | None = Field(description="Until when it is answered; null for the present one.")


class SourceRead(Sent):
    """Where events of a connection come in, and how it does. Counts are of the last 24 hours."""

    source_id: str
    name: str
    connection_id: str
    status: SourceStatus
    signed: bool
    mapping: dict[str, str]
    addresses: list[SourceAddressRead]
    last_arrival_at: AwareDatetime | None
    events: dict[str, int] = Field(description="By what became of them.")
    repeated: int = Field(description="Events that had come before, and were taken once.")
    refused: int = Field(description="Requests that were no events.")
    refusal: str | None = Field(description="Why the last of them was refused.")
    problem: str | None = Field(description="Why it is thought that PostHog sends nothing, if it is.")
    problem_since: AwareDatetime | None
    created_at: AwareDatetime
    updated_at: AwareDatetime

    @classmethod
    def of(cls, one: Heard, **more: Any) -> Self:
        """As it is heard now."""
        kept = one.source.model_dump(exclude={"id", "listened_at"})
        addresses = [SourceAddressRead(begins=each.shown, created_at=each.created_at, ends_at=each.ends_at) for each in one.addresses]
        told = {"source_id": one.source.id, "addresses": addresses, "last_arrival_at": one.last_arrival, "events": dict(one.recent)}
        return cls(**kept, **told, repeated=one.repeated, refused=one.refused, refusal=one.refusal, **more)


class NewSourceRead(SourceRead):
    """A source that has just been made or changed, with what is shown this once."""

    address: str | None = Field(description="Where PostHog has to send to. Null where it has not changed.")
    secret: str | None = Field(description="What its sender has to sign with. Null where it has not changed.")


class SourcePage(Listing):
    data: list[SourceRead]


class SourcePartRead(Sent):
    """One part of an event."""

    part: str
    path: str
    found: str = Field(description="What stands there: text, number, yes or no, object, list, or nothing.")


class SourceSampleRead(Sent):
    """The newest event of a source, read by its mapping. No values: see `revealEvent`."""

    event_id: str
    received_at: AwareDatetime
    parts: list[SourcePartRead]
    problem: str | None = Field(description="Why it cannot be read, if it cannot.")
    paths: dict[str, str] = Field(description="Every path into its body, and what stands there.")

    @classmethod
    def of(cls, one: Sample) -> SourceSampleRead:
        """Without values."""
        parts = [SourcePartRead(part=each.name, path=each.path, found=each.found) for each in one.parts]
        return cls(event_id=one.event_id, received_at=one.received_at, parts=parts, problem=one.problem, paths=dict(one.paths))


class InboundEventRead(Sent):
    """One event that came in, and what became of it."""

    event_id: str
    source_id: str
    event_uuid: str
    name: str | None
    happened_at: AwareDatetime | None
    received_at: AwareDatetime
    status: EventStatus
    why_code: str | None = Field(description="Why it led to nothing, if it did.")
    why: str | None
    signal_ids: list[str]
    has_body: bool = Field(description="Whether what was sent is still kept.")

    @classmethod
    def of(cls, one: InboundEvent) -> InboundEventRead:
        """As it stands in the log."""
        told = one.model_dump(exclude={"id", "signal_ids"})
        return cls(event_id=one.id, signal_ids=list(one.signal_ids), **told)


class InboundEventRevealed(InboundEventRead):
    """An event with what was sent."""

    body: JsonValue

    @classmethod
    def with_body(cls, one: Shown) -> InboundEventRevealed:
        """As it was sent."""
        return cls(**InboundEventRead.of(one.event).model_dump(), body=one.body)


class InboundEventPage(Listing):
    data: list[InboundEventRead]


SENT_OF_SOURCES: tuple[type[BaseModel], ...] = (
    SourceRead,
    NewSourceRead,
    SourcePage,
    SourceSampleRead,
    InboundEventRead,
    InboundEventRevealed,
    InboundEventPage,
)
