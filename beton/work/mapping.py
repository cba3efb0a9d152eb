"""Where in a body the parts of an event stand: PostHog's default body, or any JSON by paths.

What PostHog's webhook destination sends unless its body is changed (read in its template and the test of it,
github.com/PostHog/posthog, `nodejs/src/cdp/templates/_destinations/webhook/`):

    {"event":  {"uuid", "event", "distinct_id", "properties", "timestamp", "elements_chain", "url"},
     "person": {"id", "name", "properties", "url"}}

Earlier servers had `event.name` and `person.uuid` in place of `event.event` and `person.id`; `person` is missing where an event has none. A body that
adds `"groups": "{groups}"` has `{type: {"id", "type", "index", ...}}` there.

A path names keys from the outside in, with dots between: `event.properties.plan`. A key that has a dot itself stands in quotation marks, a number
picks out of a list, and `|` separates places of which the first that is there counts.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

from beton.errors import BadInput, Fault
from beton.work.arrived import Arrived

DEFAULT: Mapping[str, str] = {
    "event_uuid": "event.uuid",
    "name": "event.event | event.name",
    "distinct_id": "event.distinct_id",
    "person_id": "person.id | person.uuid",
    "at": "event.timestamp",
    "properties": "event.properties",
    "person_properties": "person.properties",
    "groups": "groups | event.properties.$groups",
}
"""Paths into PostHog's default body. A mapping of one's own names the same parts; those that it leaves out are not looked for."""

NEEDED = ("name", "distinct_id", "at")
LONGEST_PATH = 300
MOST_AT_ONCE = 1000
"""Events in one body."""

Steps = tuple[str | int, ...]
_STEP = re.compile(r'"((?:[^"\\]|\\.)+)"|([^."|\s][^."|]*)')
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_OWN_ID = re.compile(r"[!-~]{1,100}")
_GROUP = re.compile(r"\$group_([0-4])")
_MISSING = object()


@dataclass(frozen=True)
class Unmapped:
    """Why a body is no event, in a code and a sentence that quotes nothing of it."""

    code: str
    why: str


@dataclass(frozen=True)
class Mapped:
    """A mapping, read: for each part the places where it may stand."""

    places: Mapping[str, tuple[Steps, ...]]

    def part(self, body: Any, name: str) -> Any:
        """What stands at the first place that is there; `None` where none is."""
        for steps in self.places.get(name, ()):
            found = _follow(body, steps)
            if found is not _MISSING and found is not None:
                return found
        return None


def read_mapping(given: Mapping[str, str]) -> dict[str, str]:
    """A mapping as it is kept: without empty parts. `BadInput` names every part that is unknown, missing or no path."""
    kept = {name: path.strip() for name, path in given.items() if path.strip()}
    faults = [Fault(name, "is no part of an event", nearest=tuple(DEFAULT)) for name in kept if name not in DEFAULT]
    faults += [Fault(name, "is needed") for name in NEEDED if name not in kept]
    for name, path in kept.items():
        if len(path) > LONGEST_PATH or _steps(path) is None:
            faults.append(Fault(name, 'is no path, such as event.properties.plan or event."a.b".0'))
    if faults:
        raise BadInput("The mapping cannot be used.", faults, code="source.mapping_invalid", fix="Name for each part where it stands in the body.")
    return kept


def compiled(mapping: Mapping[str, str]) -> Mapped:
    """A kept mapping, ready for use."""
    return _compiled(tuple(sorted(mapping.items())))


@lru_cache(maxsize=256)
def _compiled(mapping: tuple[tuple[str, str], ...]) -> Mapped:
    return Mapped({name: _steps(path) or () for name, path in mapping})


def events_in(body: Any) -> list[Any]:
    """The events of a body: of a list each one, of `{"batch": [...]}` too, else the body itself. `BadInput` for what can be none."""
    several = body.get("batch", _MISSING) if isinstance(body, dict) else body
    if several is _MISSING:
        return [body]
    if not isinstance(several, list) or not all(isinstance(one, dict) for one in several):
        raise BadInput("The body is neither a JSON object nor a list of such.", code="input.malformed", status=400)
    if len(several) > MOST_AT_ONCE:
        raise BadInput(f"A body holds at most {MOST_AT_ONCE} events.", code="input.too_large", status=413)
    return several


def uuid_of(mapped: Mapped, event: Any, raw: bytes) -> str:
    """By what an event is known: PostHog's uuid, or one that is made of the sender's own id or, where there is neither, of the content."""
    found = mapped.part(event, "event_uuid")
    if isinstance(found, str):
        if _UUID.fullmatch(found):
            return found.lower()
        if _OWN_ID.fullmatch(found):
            return _made_of(b"id", found.encode())
    return _made_of(b"content", raw)


def _made_of(kind: bytes, told: bytes) -> str:
    return str(UUID(bytes=hashlib.sha256(kind + b"\0" + told).digest()[:16], version=5))


def arrived_of(mapped: Mapped, event: Any, event_uuid: str, received_at: datetime) -> Arrived | Unmapped:
    """The event behind a body, or why there is none."""
    name, distinct_id = mapped.part(event, "name"), mapped.part(event, "distinct_id")
    if not isinstance(name, str) or not _line(name):
        return Unmapped("source.no_name", "Where the name of the event should stand is no text.")
    if isinstance(distinct_id, int) and not isinstance(distinct_id, bool):
        distinct_id = str(distinct_id)
    if not isinstance(distinct_id, str) or not _line(distinct_id):
        return Unmapped("source.no_distinct_id", "Where the distinct id should stand is no text.")
    at = _instant(mapped.part(event, "at"))
    if at is None:
        return Unmapped("source.no_instant", "Where the instant of the event should stand is none.")
    person_id, properties = mapped.part(event, "person_id"), _object(mapped.part(event, "properties"))
    groups, group_keys = _groups(mapped.part(event, "groups"), properties)
    return Arrived(
        event_uuid=event_uuid,
        name=name,
        distinct_id=distinct_id,
        person_id=_person(person_id),
        groups=groups,
        group_keys=group_keys,
        at=at,
        received_at=received_at,
        properties=properties,
        person_properties=_object(mapped.part(event, "person_properties")),
    )


def paths_in(body: Any, most: int = 200) -> list[tuple[str, str]]:
    """Every path into a body and what kind of value stands there, to choose from; no values."""
    found: list[tuple[str, str]] = []
    waiting: list[tuple[str, Any]] = [("", body)]
    while waiting and len(found) < most:
        path, one = waiting.pop(0)
        if path:
            found.append((path, _kind(one)))
        # An empty key cannot be named.
        inner = [(key, value) for key, value in one.items() if key] if isinstance(one, dict) else enumerate(one[:3]) if isinstance(one, list) else ()
        waiting += [(f"{path}.{_quoted(key)}" if path else _quoted(key), value) for key, value in inner]
    return found


def _person(told: Any) -> str | None:
    """PostHog's are UUIDs, which it writes in lower case; a sender of one's own may have others."""
    if not isinstance(told, str) or not _line(told):
        return None
    return told.lower() if _UUID.fullmatch(told) else told


def _groups(told: Any, properties: Mapping[str, Any]) -> tuple[dict[int, str], dict[str, str]]:
    """By index and by type: from `{type: key}`, from `{type: {"id", "index"}}`, and from `$group_0` to `$group_4`, which ingestion adds."""
    by_index = {int(found[1]): value for key, value in properties.items() if (found := _GROUP.fullmatch(key)) and isinstance(value, str) and value}
    by_type: dict[str, str] = {}
    for name, one in _object(told).items():
        key = one.get("id") if isinstance(one, dict) else one
        if isinstance(key, str) and key:
            by_type[name] = key
            index = one.get("index") if isinstance(one, dict) else None
            if isinstance(index, int) and not isinstance(index, bool) and 0 <= index < 5:
                by_index.setdefault(index, key)
    return by_index, by_type


def _instant(told: Any) -> datetime | None:
    """ISO 8601, UTC where it does not say; or Unix seconds or milliseconds."""
    try:
        if isinstance(told, str):
            read = datetime.fromisoformat(told)
            return (read.replace(tzinfo=UTC) if read.tzinfo is None else read).astimezone(UTC)
        if isinstance(told, int | float) and not isinstance(told, bool):
            return datetime.fromtimestamp(told / 1000 if abs(told) > 1e11 else told, UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return None


def _follow(body: Any, steps: Steps) -> Any:
    for step in steps:
        if isinstance(body, dict):
            body = body.get(str(step), _MISSING)
        elif isinstance(body, list) and isinstance(step, int) and step < len(body):
            body = body[step]
        else:
            return _MISSING
    return body


def _steps(path: str) -> tuple[Steps, ...] | None:
    """The places that a path names; `None` for what is no path."""
    places = tuple(_place(one.strip()) for one in _split(path, "|"))
    return None if any(not one for one in places) else places


def _place(text: str) -> Steps:
    steps: list[str | int] = []
    for part in _split(text, "."):
        found = _STEP.fullmatch(part.strip())
        if found is None:
            return ()
        quoted, plain = found[1], found[2]
        steps.append(re.sub(r"\\(.)", r"\1", quoted) if quoted else int(plain) if plain.isascii() and plain.isdigit() else plain)
    return tuple(steps)


def _split(text: str, at: str) -> list[str]:
    """At a character outside of quotation marks."""
    parts, quoted, escaped, start = [], False, False, 0
    for place, character in enumerate(text):
        if escaped:
            escaped = False
        elif character == "\\" and quoted:
            escaped = True
        elif character == '"':
            quoted = not quoted
        elif character == at and not quoted:
            parts.append(text[start:place])
            start = place + 1
    return [*parts, text[start:]]


def _quoted(key: str | int) -> str:
    text = str(key)
    number = text.isascii() and text.isdigit()
    if isinstance(key, int) or (number and text == str(int(text))) or (not number and text == text.strip() and re.fullmatch(r'[^."|\\]+', text)):
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _line(text: str) -> bool:
    return 0 < len(text) <= 400 and "\x00" not in text


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _kind(value: Any) -> str:
    kinds = {str: "text", bool: "yes or no", int: "number", float: "number", list: "list", dict: "object"}
    return kinds.get(type(value), "nothing")
