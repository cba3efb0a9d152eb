"""What rivals see of a unit at a look: how often it did what a search looks at, since its entry."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from agent.conditions import Question
from agent.cuts import cuts
from backtest import EventLog, Hypothesis, Window
from backtest.durations import DAY
from backtest.events import Matches
from backtest.intervals import Codes, Flags, Ints
from backtest.language import Measure, Total
from backtest.matching import EventMatch, Op
from beton.bench.looks import Looks, Matrix, looks_of

SPANS = ("first 7 d", "last 7 d", "last 14 d", "since entry", "days of 7")
LATELY = "last 14 d"
MOST_VALUED = 150
"""Events with a value of a property that get a column; the same ones that the search tries, the most frequent first."""


@dataclass(frozen=True)
class Column:
    """Events that count (`match`, with or without a value of a property), and since when."""

    match: EventMatch
    span: str

    @property
    def name(self) -> str:
        return f"{self.match.model_dump_json(exclude_defaults=True)} {self.span}"

    @property
    def plainest(self) -> bool:
        """The one column of its match that tells whether the unit did it."""
        return self.span == LATELY or bool(self.match.where)


@dataclass(frozen=True)
class Seen:
    """The looks at one part of a log as a table: a row per open look, in order of unit and look."""

    log: EventLog
    question: Hypothesis
    looks: Looks
    columns: tuple[Column, ...]
    table: Matrix

    @property
    def hit(self) -> Flags:
        return self.looks.hit[self.looks.open]

    def rows(self, keep: Flags) -> Flags:
        """Of the open looks those that a matrix of looks keeps."""
        return keep[self.looks.open]


def columns_of(
    question: Question, singles: Sequence[Hypothesis], early: EventLog, window: Window, without: Collection[str] = ()
) -> tuple[Column, ...]:
    """What the single conditions of a search are made of: each event, and any of them, in every span; each event with a value, the most frequent
    first, in the last 14 days (with a value of the entry event, since then). Events `without` are in no column: a count of really everything, less
    those of the others, would tell them. Values and thresholds are those of the discovering part."""
    named = {one.model_dump_json(): one for single in singles for one in _matches(single)}
    named |= {one.model_dump_json(): one for single in cuts(question, singles, early, window) for one in _matches(single)}
    allowed = [one for one in named.values() if not set(one.events) & set(without)]
    names = sorted({name for one in allowed for name in one.events})
    plain = [EventMatch(events=(name,)) for name in names] + ([EventMatch(events=tuple(names))] if len(names) > 1 else [])
    valued = sorted((one for one in allowed if one.where and one.where[0].op is not Op.is_set), key=lambda one: -len(early.matches(one)))
    entering = set(question.entry.events if question.entry else ())
    spans = ["since entry" if set(one.events) <= entering else LATELY for one in valued]
    return (
        *(Column(one, span) for one in plain for span in SPANS),
        *(Column(one, span) for one, span in list(zip(valued, spans, strict=True))[:MOST_VALUED]),
    )


def _matches(single: Hypothesis) -> Iterator[EventMatch]:
    for clause in single.clauses:
        yield from (value for _, value in clause if isinstance(value, EventMatch))
        if isinstance(clause, Total) and clause.measure is Measure.max and clause.at_least is not None:
            where = {"property": clause.property, "op": Op.at_least, "value": clause.at_least}
            yield EventMatch.model_validate({"events": clause.match.events, "where": [where]})


def seen(question: Hypothesis, log: EventLog, columns: Sequence[Column], every: int = 1) -> Seen:
    """The table of looks every so many days."""
    looks = looks_of(question, log, every)
    row, look = np.nonzero(looks.open)
    unit, at, entry = looks.unit[row], looks.at[look], looks.entry[row]
    table = np.zeros((len(row), len(columns)), np.float32)
    known: dict[str, Matches] = {}
    for place, column in enumerate(columns):
        key = column.match.model_dump_json()
        if key not in known:
            known[key] = log.matches(column.match)
        table[:, place] = _counts(known[key], column.span, log, unit, at, entry)
    return Seen(log, question, looks, tuple(columns), table)


def _counts(found: Matches, span: str, log: EventLog, unit: Codes, at: Ints, entry: Ints) -> Ints:
    """Events after entry (or at it) and up to the look that lie in the span."""
    if span == "days of 7":
        found = _first_of_days(found, log)
    since = {"last 7 d": at - 7 * DAY, "days of 7": at - 7 * DAY, LATELY: at - 14 * DAY}.get(span, entry - 1)
    until = np.minimum(at, entry + 7 * DAY) if span == "first 7 d" else at
    key = _key(log, found.unit, found.at)
    low, high = (_key(log, unit, when) for when in (np.maximum(since, entry - 1), until))
    return np.searchsorted(key, high, "right") - np.searchsorted(key, low, "right")


def _first_of_days(found: Matches, log: EventLog) -> Matches:
    """One event per unit and day of the window: looks are at midnight, so days are whole."""
    day = (found.at - log.window.start - 1) // DAY
    new = (np.diff(found.unit, prepend=-1) != 0) | (np.diff(day, prepend=-1) != 0)
    return found.where(new)


def _key(log: EventLog, unit: Codes, at: Ints) -> Ints:
    """Sorts by unit, then by instant."""
    length = log.window.end - log.window.start + 2
    return unit.astype(np.int64) * length + np.clip(at - log.window.start + 1, 0, length - 1)


def halves(part: Seen, share: float) -> Iterator[Flags]:
    """The judged rows of the units that entered first, and of the others: a split in time for choosing settings."""
    row, _ = np.nonzero(part.looks.open)
    border = np.quantile(part.looks.entry, share)
    early, judged = part.looks.entry[row] < border, part.rows(part.looks.judged)
    yield early & judged
    yield ~early & judged
