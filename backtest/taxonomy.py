"""What a PostHog project can tell: its events, their properties, its group types.

Hypotheses are written in these names and refused when they use others; the agent sees nothing else of a project. A taxonomy is a snapshot:
plain values, taken at one instant. Names, descriptions and sampled values are data from strangers, wherever they are shown.
"""

import hashlib
import json
from collections.abc import Iterable
from datetime import datetime
from difflib import get_close_matches
from functools import cached_property
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

PropertyKind = Literal["event", "person", "group", "session"]
"""Where a property lives. Only event properties are values of the past; the other kinds read as they are today."""

PropertyType = Literal["string", "numeric", "boolean", "datetime", "unknown"]
"""How PostHog types a property. Numbers written as text compare as numbers only when this says numeric."""


class PropertyDefinition(BaseModel):
    """One property of one kind.

    `events` are the events seen to carry it, None when that was not read (which is not the same as none).
    `cardinality` is the approximate number of distinct values in the sampled days, None when not read; `values` are the most frequent of
    them, cut short.
    `virtual` properties are computed by PostHog (`$virt_…`) and never sent with an event.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    kind: PropertyKind = "event"
    type: PropertyType = "unknown"
    group_type: str | None = None
    events: tuple[str, ...] | None = None
    values: tuple[str, ...] = ()
    cardinality: int | None = None
    description: str = ""
    internal: bool = False
    hidden: bool = False
    virtual: bool = False


class EventDefinition(BaseModel):
    """One event: `volume` occurrences by `units` distinct persons within the taxonomy's window.

    Volume zero means that PostHog knows the name but saw none in the window. `first_seen` and `last_seen` are within the window too, except
    that an event without volume may carry PostHog's own older `last_seen`. `internal` names begin with `$` (PostHog's own); `hidden` ones
    were hidden or archived by the project's people. `properties` are the names seen on it in recent days, most frequent first.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    volume: int = Field(default=0, ge=0)
    units: int = Field(default=0, ge=0)
    first_seen: datetime | None = None
    last_seen: datetime | None = None
    description: str = ""
    internal: bool = False
    hidden: bool = False
    verified: bool = False
    properties: tuple[str, ...] = ()


class GroupType(BaseModel):
    """A kind of account: PostHog numbers up to five of them, 0 to 4, and events carry their keys as `$group_<index>`."""

    model_config = ConfigDict(frozen=True)

    index: int = Field(ge=0, le=4)
    name: str


class TaxonomyChange(BaseModel):
    """What differs between two snapshots, as names, sorted. Properties are written `kind:name`, group properties `group/<type>:name`."""

    model_config = ConfigDict(frozen=True)

    events_added: tuple[str, ...] = ()
    events_removed: tuple[str, ...] = ()
    events_fallen_silent: tuple[str, ...] = ()
    properties_added: tuple[str, ...] = ()
    properties_removed: tuple[str, ...] = ()
    properties_retyped: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        """True when anything differs."""
        return any(self.__dict__.values())


class Taxonomy(BaseModel):
    """A snapshot of names, taken at `taken_at` (aware UTC), with volumes over the `window_days` before it.

    `notes` say, in sentences, what could not be read completely; a taxonomy without notes is whole.
    """

    model_config = ConfigDict(frozen=True)

    events: tuple[EventDefinition, ...] = ()
    properties: tuple[PropertyDefinition, ...] = ()
    group_types: tuple[GroupType, ...] = ()
    taken_at: datetime
    window_days: int = Field(gt=0)
    notes: tuple[str, ...] = ()

    @cached_property
    def _events(self) -> dict[str, EventDefinition]:
        return {event.name: event for event in self.events}

    @cached_property
    def _properties(self) -> dict[tuple[PropertyKind, str | None, str], PropertyDefinition]:
        return {(prop.kind, prop.group_type, prop.name): prop for prop in self.properties}

    def event(self, name: str) -> EventDefinition | None:
        """The event of exactly this name, or None. PostHog's names are case-sensitive."""
        return self._events.get(name)

    def property(self, name: str, kind: PropertyKind = "event", group_type: str | None = None) -> PropertyDefinition | None:
        """The property of exactly this name and kind, or None; a group property needs the name of its group type."""
        return self._properties.get((kind, group_type, name))

    def property_type(self, name: str, kind: PropertyKind = "event", group_type: str | None = None) -> PropertyType:
        """The type of a property, `unknown` when the taxonomy does not know the property or PostHog does not know the type."""
        found = self.property(name, kind, group_type)
        return found.type if found else "unknown"

    def carries(self, event: str, name: str) -> bool | None:
        """Whether the event was seen with this property; None when nothing is known about the properties of that event."""
        known = self._events.get(event)
        if known is None or not known.properties:
            return None
        return name in known.properties

    def group_type(self, name: str) -> GroupType | None:
        """The group type of this name, or None."""
        return next((group for group in self.group_types if group.name == name), None)

    def nearest_event(self, name: str, limit: int = 3) -> list[str]:
        """Known event names that look like `name`, the closest first."""
        return _nearest(name, self._events, limit)

    def nearest_property(self, name: str, kind: PropertyKind = "event", group_type: str | None = None, limit: int = 3) -> list[str]:
        """Known property names of one kind that look like `name`, the closest first."""
        return _nearest(name, [prop.name for prop in self.properties if (prop.kind, prop.group_type) == (kind, group_type)], limit)

    def digest(self) -> str:
        """SHA-256 of the content in hexadecimal, whatever the order of its parts and the instant it was taken at."""
        content = self.model_dump(mode="json", exclude={"taken_at"})
        for part in ("events", "properties", "group_types"):
            content[part] = sorted(content[part], key=lambda row: json.dumps(row, sort_keys=True))
        return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()

    def changes_since(self, earlier: "Taxonomy") -> TaxonomyChange:
        """What differs from an earlier snapshot of the same project. An event falls silent when it had volume and has none now."""
        now, then = set(self._events), set(earlier._events)
        mine, theirs = self._properties, earlier._properties
        silent = [name for name in now & then if self._events[name].volume == 0 < earlier._events[name].volume]
        return TaxonomyChange(
            events_added=tuple(sorted(now - then)),
            events_removed=tuple(sorted(then - now)),
            events_fallen_silent=tuple(sorted(silent)),
            properties_added=tuple(sorted(map(_written, mine.keys() - theirs.keys()))),
            properties_removed=tuple(sorted(map(_written, theirs.keys() - mine.keys()))),
            properties_retyped=tuple(sorted(_written(key) for key in mine.keys() & theirs.keys() if mine[key].type != theirs[key].type)),
        )


def _written(key: tuple[PropertyKind, str | None, str]) -> str:
    kind, group_type, name = key
    return f"{kind}/{group_type}:{name}" if group_type else f"{kind}:{name}"


def _nearest(name: str, known: Iterable[str], limit: int) -> list[str]:
    """Close names in any case and with any word separator: people write `Signed Up` for `signed_up`."""
    folded: dict[str, list[str]] = {}
    for candidate in known:
        folded.setdefault(_fold(candidate), []).append(candidate)
    close = get_close_matches(_fold(name), folded, n=limit, cutoff=0.6)
    return [candidate for key in close for candidate in sorted(folded[key])][:limit]


def _fold(name: str) -> str:
    return name.casefold().replace("-", " ").replace("_", " ").replace(".", " ").lstrip("$")
