"""The tables of events that PostHog sends us: where they come in, what came, and how much of it each hour.

Of an event these keep its name, ids and instants. Its body lies sealed in `payload_sealed`, for seven days.
"""

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlmodel import Field

from beton.store.columns import Instant, Owned, Row, belongs_to, document, maybe_moment, moment, one_of

SOURCE_STATUSES = ("testing", "active", "off")
EVENT_STATUSES = ("arrived", "mapped", "matched", "fired", "ignored", "failed")


class InboundSourceRow(Owned, Row, table=True):
    __tablename__ = "inbound_source"
    __table_args__ = (sa.UniqueConstraint("workspace_id", "name"), one_of("status", *SOURCE_STATUSES))
    id: str = Field(primary_key=True)
    workspace_id: str = belongs_to("workspace", index=False)
    connection_id: str = belongs_to("connection")
    name: str
    status: str = "testing"
    mapping: dict[str, Any] = document()
    secret_sealed: str | None = None
    """What its sender signs with, where it signs."""
    problem: str | None = None
    problem_since: datetime | None = maybe_moment()
    listened_at: datetime | None = maybe_moment()
    """When its silence was last looked into."""
    taken_until: datetime | None = maybe_moment()
    """Until then one worker goes through its events, so that they are gone through in order."""
    taken_by: str | None = None
    created_at: datetime = moment()
    updated_at: datetime = moment()


class InboundAddressRow(Owned, Row, table=True):
    """Of the token in the address, the hash. A rotated one is answered until it ends, and told to be gone from then on."""

    __tablename__ = "inbound_address"
    digest: str = Field(primary_key=True)
    workspace_id: str = belongs_to("workspace", index=False)
    source_id: str = belongs_to("inbound_source")
    shown: str
    """The beginning of the token, by which people tell one address from another."""
    created_at: datetime = moment()
    ends_at: datetime | None = maybe_moment()


class InboundEventRow(Owned, Row, table=True):
    """One event that came in. Its id is made of the source and the event's uuid: hence each is taken once."""

    __tablename__ = "inbound_event"
    __table_args__ = (
        sa.Index(None, "source_id", "received_at", "id"),
        sa.Index(None, "source_id", "status", "received_at", "id"),
        one_of("status", *EVENT_STATUSES),
    )
    id: str = Field(primary_key=True)
    workspace_id: str = belongs_to("workspace", index=False)
    source_id: str = belongs_to("inbound_source", index=False)
    connection_id: str = belongs_to("connection", index=False)
    event_uuid: str
    received_at: datetime = moment()
    status: str = "arrived"
    why_code: str | None = None
    why: str | None = None
    name: str | None = None
    happened_at: datetime | None = maybe_moment()
    unit_keys: str = ""
    """Keyed hashes of whom it is about, a blank between them: by these its body is found again when somebody is erased."""
    signal_ids: list[str] = document()
    payload_sealed: str | None = None


class InboundHourRow(Owned, Row, table=True):
    """How much came in within an hour; these stay when the events themselves are gone."""

    __tablename__ = "inbound_hour"
    source_id: str = belongs_to("inbound_source", key=True)
    hour: datetime = Field(sa_type=Instant, primary_key=True)
    workspace_id: str = belongs_to("workspace", index=False)
    arrived: int = 0
    repeated: int = 0
    refused: int = 0
    refusal: str | None = None
    """Why the last of the refused ones was."""
