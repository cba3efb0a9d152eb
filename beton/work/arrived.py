"""An event that PostHog sent us, as the evaluator is told of it: the seam between those who receive and those who match."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True)
class Arrived:
    """One event, whichever body it came in.

    It lives in memory for one piece of work: its properties are nobody's to write down.
    """

    event_uuid: str
    """PostHog's own id of the event, lower case with hyphens: the same by webhook and by polling. Always a UUID: where the body has none, one is made
    of what was sent."""
    name: str
    distinct_id: str
    person_id: str | None
    """PostHog's person, where the body told it; merged people have several over time."""
    groups: Mapping[int, str]
    """Index of a group type (0 to 4) to the key of the group that the event belongs to; empty where it tells of none."""
    group_keys: Mapping[str, str]
    """The same by the name of the group type, as `$groups` has it: PostHog's ingestion adds the indices, and not every body has them."""
    at: datetime
    """When it happened, aware, UTC."""
    received_at: datetime
    """When it reached us, aware, UTC."""
    properties: Mapping[str, Any] = field(default_factory=dict)
    """As PostHog has them, JSON values."""
    person_properties: Mapping[str, Any] = field(default_factory=dict)
    """Of the person, as of when PostHog sent it (not as of the event)."""

    def __repr__(self) -> str:
        return f"Arrived({self.event_uuid}, {self.name!r}, at={self.at.isoformat()})"
