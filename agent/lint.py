"""What is untidy about the names of a project, and which few events carry the signal: each remark with a code and a sentence."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from difflib import SequenceMatcher
from typing import Any, Protocol

from agent.memory import events_of
from agent.vocabulary import tokens
from backtest import Hypothesis
from backtest.taxonomy import EventDefinition, PropertyDefinition, Taxonomy

SILENT_DAYS = 14
"""An event that had volume and was not seen for so long has stopped, unless it was rare anyway."""

FEWEST = 20
"""Rarer events say nothing by their silence."""

ALIKE = 0.9
"""How similar two names have to be, letter by letter, to be a slip of the pen."""

MOST_NAMES = 2000
"""Names that are compared with each other; a project with more has its most frequent ones compared."""

SIGNAL_SHARE = 0.8


@dataclass(frozen=True)
class Remark:
    """`code`: near_duplicate | dead_event | type_disagrees. `names` are the events or properties that it is about."""

    code: str
    sentence: str
    names: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """For command line and API."""
        return {"code": self.code, "sentence": self.sentence, "names": list(self.names)}


@dataclass(frozen=True)
class Carrier:
    """An event and the share of all strong candidates that name it."""

    event: str
    share: float
    finds: int


class Found(Protocol):
    """A candidate of the search, or a proposal."""

    @property
    def hypothesis(self) -> Hypothesis: ...


def lint(taxonomy: Taxonomy) -> tuple[Remark, ...]:
    """All remarks, by kind, the most frequent events first."""
    return (*_near_duplicates(taxonomy), *_dead(taxonomy), *_types(taxonomy))


def carriers(found: Iterable[Found]) -> tuple[Carrier, ...]:
    """The fewest events that together are named in at least 80 % of what a search found, the most useful first; for after a search only."""
    waiting = [events for one in found if (events := events_of(one.hypothesis))]
    total, chosen, everywhere = len(waiting), [], _counts(waiting)
    while len(waiting) > total - math.ceil(SIGNAL_SHARE * total):
        counts = _counts(waiting)
        event = min(counts, key=lambda name: (-counts[name], -everywhere[name], name))
        chosen.append(Carrier(event, counts[event] / total, counts[event]))
        waiting = [events for events in waiting if event not in events]
    return tuple(chosen)


def _counts(found: Iterable[frozenset[str]]) -> Counter[str]:
    return Counter(name for events in found for name in events)


def _near_duplicates(taxonomy: Taxonomy) -> Iterator[Remark]:
    """Spellings of the same words, and slips of the pen in names of which one is much rarer."""
    events = sorted((one for one in taxonomy.events if not one.internal and not one.hidden), key=lambda one: (-one.volume, one.name))
    by: dict[tuple[str, ...], list[EventDefinition]] = defaultdict(list)
    for one in events:
        by[_folded(one.name)].append(one)
    for alike in by.values():
        if len(alike) > 1:
            yield _duplicate(alike, "are spellings of the same words")
    for first, second in _slips([alike[0] for alike in by.values()][:MOST_NAMES]):
        yield _duplicate([first, second], "differ by a letter or two")


def _duplicate(alike: Sequence[EventDefinition], why: str) -> Remark:
    names = tuple(one.name for one in alike)
    counts = " and ".join(f"{one.name!r} ({one.volume:,})" for one in alike)
    return Remark("near_duplicate", f"{counts} {why}; whoever counts one of them alone misses the other.", names)


def _slips(events: Sequence[EventDefinition]) -> Iterator[tuple[EventDefinition, EventDefinition]]:
    """Pairs of long names that are nearly the same; names that differ in a number (step_1, step_2) are meant to."""
    by_length: dict[int, list[tuple[str, EventDefinition]]] = defaultdict(list)
    for one in events:
        by_length[len(one.name)].append(("".join(tokens(one.name)), one))
    for length, named in sorted(by_length.items()):
        near = [*named, *by_length.get(length + 1, ())]
        for place, (text, one) in enumerate(named):
            for other_text, other in near[place + 1 :]:
                if len(text) >= 8 and _slip(text, other_text):
                    yield (one, other) if one.volume >= other.volume else (other, one)


def _slip(first: str, second: str) -> bool:
    if any(char.isdigit() for char in first + second) or first[:1] != second[:1]:
        return False
    matcher = SequenceMatcher(None, first, second, autojunk=False)
    return matcher.real_quick_ratio() >= ALIKE and matcher.quick_ratio() >= ALIKE and matcher.ratio() >= ALIKE


def _folded(name: str) -> tuple[str, ...]:
    """Order and separators do not matter; the plural does not either."""
    return tuple(sorted(word[:-1] if len(word) > 4 and word.endswith("s") else word for word in tokens(name))) or (name,)


def _dead(taxonomy: Taxonomy) -> Iterator[Remark]:
    """Events that stopped: known without volume, or silent at the end of the window though they were frequent before."""
    for one in sorted(taxonomy.events, key=lambda one: (-one.volume, one.name)):
        if one.hidden or one.internal:
            continue
        if one.volume == 0:
            seen = f", last seen on {one.last_seen:%Y-%m-%d}" if one.last_seen else ""
            yield Remark("dead_event", f"{one.name!r} has not happened for {taxonomy.window_days} days{seen}; hide it or find out why.", (one.name,))
        elif one.last_seen and one.volume >= FEWEST and _stopped(one, one.last_seen, taxonomy):
            days = (taxonomy.taken_at - one.last_seen).days
            yield Remark("dead_event", f"{one.name!r} happened {one.volume:,} times, but not for the last {days} days.", (one.name,))


def _stopped(one: EventDefinition, last: datetime, taxonomy: Taxonomy) -> bool:
    """Silent for two weeks and for many times the usual distance between two of them."""
    first = one.first_seen or taxonomy.taken_at - timedelta(days=taxonomy.window_days)
    usual = (last - first) / max(one.volume - 1, 1)
    silent = taxonomy.taken_at - last
    return silent > timedelta(days=SILENT_DAYS) and silent > 10 * usual


def _types(taxonomy: Taxonomy) -> Iterator[Remark]:
    """Properties of one name that are typed differently for events, persons and groups, and numbers that are kept as text."""
    by: dict[str, list[PropertyDefinition]] = defaultdict(list)
    for one in taxonomy.properties:
        if not one.hidden and not one.internal and not one.virtual and one.type != "unknown":
            by[one.name].append(one)
    for name, known in sorted(by.items()):
        if len({one.type for one in known}) > 1:
            told = ", ".join(sorted(f"{one.type} on {_owner(one)}" for one in known))
            yield Remark("type_disagrees", f"{name!r} is {told}: comparisons will differ.", (name,))
    for one in taxonomy.properties:
        if one.kind == "event" and not one.hidden and one.type == "string" and one.values and all(map(_is_number, one.values)):
            sentence = f"{one.name!r} is declared as text, but its values look like numbers: declare it numeric, so that 10 is more than 9."
            yield Remark("type_disagrees", sentence, (one.name,))


def _owner(one: PropertyDefinition) -> str:
    return f"{one.group_type or 'group'} groups" if one.kind == "group" else f"{one.kind}s"


def _is_number(text: str) -> bool:
    plain = text.removeprefix("-")
    return plain.replace(".", "", 1).isascii() and plain.replace(".", "", 1).isdigit()
