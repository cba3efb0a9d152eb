"""The first outcomes of units that fired: whatever they wait for, and of whatever kind they are, one query.

Each question is a member of a UNION ALL and answers with one row. What a property's value means stays in `backtest.values`: the server groups by the
raw texts of the properties that are compared, with the first instant of each, and the texts are judged here. Nothing of them is kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson

from backtest.intervals import FOREVER
from backtest.language import Event, Lapse, PropertyOutcome, Unit
from backtest.matching import EventMatch
from backtest.truth import lapse
from backtest.values import PropertyTypes, decode, predicate
from beton.posthog.client import PostHogClient
from beton.posthog.firsts import FIRST_VISIBLE
from beton.posthog.hogql import Query, between, carries, named, raw, since, unit_column

Outcome = Event | PropertyOutcome | Lapse


@dataclass(frozen=True)
class Asked:
    """Units of one kind that wait for one outcome. `group_index` is PostHog's number of their group type (`None` for persons).

    `since`: nothing before it is asked for; 0 is all of history, which a lapse always needs.
    """

    unit: Unit
    group_index: int | None
    outcome: Outcome
    entry: EventMatch | None
    units: tuple[str, ...]
    since: int = FIRST_VISIBLE


async def first_outcomes(client: PostHogClient, asked: Sequence[Asked], until: int, types: PropertyTypes) -> list[dict[str, int]]:
    """Per question: unit id → first outcome in `[since, until)`, in microseconds; units without one are missing. One query in all."""
    if not asked:
        return []
    query = Query()
    parts = [part for place, one in enumerate(asked) for part in _parts(query, place, one, until)]
    body = await client.query_bytes(" UNION ALL ".join(parts), query.values, name="first outcomes of signals")
    answers = dict(orjson.loads(body)["results"])
    return [_firsts(place, one, answers, until, types) for place, one in enumerate(asked)]


def _parts(query: Query, place: int, one: Asked, until: int) -> Iterator[str]:
    if isinstance(one.outcome, Lapse):
        yield _member(query, f"{place} entry", one, one.entry, FIRST_VISIBLE, until, every=False)
        yield _member(query, f"{place} heard", one, one.outcome.match, FIRST_VISIBLE, until, every=True)
    else:
        yield _member(query, f"{place} first", one, one.outcome.match, one.since, until, every=False)


def _member(query: Query, key: str, one: Asked, match: EventMatch | None, start: int, until: int, *, every: bool) -> str:
    """One row: the key, and per unit and texts of the compared properties the first matching instant, or `every` one."""
    unit, at = unit_column(one.unit, one.group_index), since(query, 0)
    paths = _paths(match)
    texts = ", ".join(raw(query, path) for path in paths) or "''"
    instants = f"groupUniqArray({at})" if every else f"[min({at})]"
    scope = f" AND {named(query, match.events)}" if match is not None and not match.any_event else ""
    if match is not None and match.any_event and len(paths) == 1 and _asks_for_presence(match):
        scope = f" AND {carries(query, paths[0])}"
    where = f"{between(query, start, until)} AND {unit} IN {query.of(list(one.units))}{scope}"
    rows = f"SELECT {unit} AS u, [{texts}] AS v, {instants} AS t FROM events WHERE {where} GROUP BY u, v"
    return f"SELECT {query.of(key)} AS k, groupArray(tuple(u, v, t)) AS found FROM ({rows})"


def _asks_for_presence(match: EventMatch) -> bool:
    """Whether an event without the property can never match, so that it need not be looked at."""
    return all(str(comparison.op) not in ("is_not_set", "not_equals") for comparison in match.where)


def _paths(match: EventMatch | None) -> list[tuple[str, ...]]:
    return [] if match is None else [tuple(comparison.property) for comparison in match.where]


def _firsts(place: int, one: Asked, answers: Mapping[str, list[Any]], until: int, types: PropertyTypes) -> dict[str, int]:
    if not isinstance(one.outcome, Lapse):
        return {unit: min(times) for unit, times in _matching(answers.get(f"{place} first", []), one.outcome.match, types).items()}
    entries = {unit: min(times) for unit, times in _matching(answers.get(f"{place} entry", []), one.entry, types).items()}
    heard = _matching(answers.get(f"{place} heard", []), one.outcome.match, types)
    units = sorted(entries)
    at = [sorted(heard.get(unit, ())) for unit in units]
    who = np.repeat(np.arange(len(units), dtype=np.int32), [len(times) for times in at])
    when = np.array([instant for times in at for instant in times], np.int64)
    entered = np.array([entries[unit] for unit in units], np.int64)
    ended = lapse(who, when, int(one.outcome.after), entered, until)
    return {unit: int(instant) for unit, instant in zip(units, ended, strict=True) if instant < FOREVER}


def _matching(found: list[Any], match: EventMatch | None, types: PropertyTypes) -> dict[str, list[int]]:
    """Per unit the instants whose texts meet every comparison."""
    tests = [predicate(comparison, types) for comparison in match.where] if match is not None else []
    kept: dict[str, list[int]] = {}
    for unit, texts, times in found:
        if all(test(decode(text) if text else None) for test, text in zip(tests, texts, strict=False)):
            kept.setdefault(unit, []).extend(int(one) for one in times)
    return kept
