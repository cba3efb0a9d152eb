"""Values of properties as conditions: what the discovering part of the log holds, few values one by one, numbers cut where units differ, and of many
texts what they have in common.

Thresholds are taken from behaviour alone, never from outcomes, and each of them is counted as tried.
"""

from __future__ import annotations

import itertools
import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from agent.conditions import FEWEST_UNITS, MOST_VALUES, Question, fitting
from backtest import EventLog, Hypothesis, Window
from backtest.durations import DAY
from backtest.language import Clause, Did, First, Last, Measure, Total
from backtest.matching import EventMatch, Op
from backtest.stratified import Floats
from backtest.values import as_number

SHARES = (0.8, 0.6, 0.4, 0.3, 0.2, 0.13, 0.09, 0.06, 0.04, 0.025)
"""Shares of the unit weeks that reach a threshold: quintiles, and finer in the tail, where a threshold tells most."""

QUINTILES = (0.8, 0.6, 0.4, 0.2)
WEEK = 7 * DAY
MOST_NUMBERS = 8
"""Numeric columns that are cut: those of the most widely used events."""


MOST_TEXTS = 4
"""Columns of addresses and sentences that are taken apart: those of the most widely used events."""

MOST_PARTS = 15
WIDEST_TEXT = 0.8
"""A part that nearly every text has tells nothing."""

IDENTIFYING = frozenset(("email", "$email", "name", "$name", "first_name", "last_name", "full_name", "phone", "address", "ip", "$ip"))
"""Properties that say who somebody is: no condition is made of their words."""

_ADDRESS = re.compile(r"^(?:[a-z]+:/)?/")
_SENTENCE = re.compile(r"\w\s+\w")


@dataclass(frozen=True)
class Carried:
    """An event and one of its properties that was read for it."""

    event: str
    path: tuple[str, ...]


def cuts(question: Question, singles: Sequence[Hypothesis], log: EventLog, window: Window) -> list[Hypothesis]:
    """Conditions on values, for every property that `singles` name by "it is set". `log` is the discovering part, `window` the whole one."""
    spans: dict[Carried, list[First | Last]] = {}
    for clause in (clause for one in singles for clause in one.clauses):
        if (found := _named(clause)) is not None and isinstance(clause, Did) and isinstance(clause.span, First | Last):
            spans.setdefault(found, []).append(clause.span)
    clauses: list[Clause] = []
    numeric = texts = 0
    for carried, where in spans.items():
        few, numbers = _values(carried, log)
        if few:
            clauses += (Did(kind="did", match=_match(carried, Op.equals, value), span=span) for value in few for span in where)
        elif (found := text_parts(carried.path, *_counted(carried, log))) and texts < MOST_TEXTS:
            texts += 1
            clauses += (Did(kind="did", match=_match(carried, Op.contains, part), span=span) for part in found for span in where[:2])
        elif len(numbers.value) and numeric < MOST_NUMBERS:
            numeric += 1
            clauses += _cut(carried, numbers, where)
    return fitting(question, clauses, window)


def _named(clause: Clause) -> Carried | None:
    match = getattr(clause, "match", None)
    if not isinstance(match, EventMatch) or len(match.events) != 1 or len(match.where) != 1 or match.where[0].op is not Op.is_set:
        return None
    return Carried(match.events[0], match.where[0].property)


def _match(carried: Carried, op: Op, value: object) -> EventMatch:
    return EventMatch.model_validate({"events": [carried.event], "where": [{"property": carried.path, "op": op, "value": value}]})


@dataclass(frozen=True)
class _Numbers:
    """Unit, week and value of every event that carries a number."""

    unit: Floats
    week: Floats
    value: Floats

    def weekly(self, measure: Measure) -> Floats:
        """The greatest value or the sum of every unit week that has any, ascending."""
        key = self.unit * 1e6 + self.week
        by = np.argsort(key, kind="stable")
        starts = np.flatnonzero(np.diff(key[by], prepend=-1.0))
        return np.sort((np.maximum if measure is Measure.max else np.add).reduceat(self.value[by], starts))


def _values(carried: Carried, log: EventLog) -> tuple[list[str | bool], _Numbers]:
    """Its few texts or truth values, the most frequent first, each seen often enough; or else its numbers."""
    rows = slice(*log.slices.get(carried.event, (0, 0)))
    column = log.columns.get(carried.path)
    none = _Numbers(*(np.empty(0),) * 3)
    if column is None or not len(codes := column.codes[rows]):
        return [], none
    seen = np.bincount(codes[codes >= 0], minlength=len(column.values))
    kind = log.types.get(".".join(carried.path))
    numbers = [as_number(value, kind) for value in column.values]
    if sum(int(count) for count, number in zip(seen, numbers, strict=True) if number is not None) * 2 > int(seen.sum()):
        value = np.array([math.nan if one is None else one for one in numbers] + [math.nan])[codes]
        known = np.isfinite(value)
        week = (log.at[rows] - log.window.start) // WEEK
        return [], _Numbers(log.unit[rows][known].astype(np.float64), week[known].astype(np.float64), value[known])
    few = [int(code) for code in np.argsort(-seen, kind="stable") if seen[code] >= FEWEST_UNITS]
    texts = [value for code in few if isinstance(value := column.values[code], str | bool)]
    return (texts if 1 < len(texts) <= MOST_VALUES else []), none


def _counted(carried: Carried, log: EventLog) -> tuple[list[str], list[int]]:
    """The different texts of a column among the rows of its event, and how often each occurs."""
    rows = slice(*log.slices.get(carried.event, (0, 0)))
    column = log.columns.get(carried.path)
    if column is None:
        return [], []
    codes = column.codes[rows]
    seen = np.bincount(codes[codes >= 0], minlength=len(column.values)).tolist()
    told = [(value, count) for value, count in zip(column.values, seen, strict=True) if isinstance(value, str) and count]
    return [value for value, _ in told], [count for _, count in told]


def text_parts(path: tuple[str, ...], texts: Sequence[str], seen: Sequence[int]) -> list[str]:
    """What many different texts have in common: the beginnings of paths where they are addresses, words where they are sentences. The most frequent
    first, each seen often enough and not nearly always; nothing of texts that are neither, which are names and identifiers."""
    total = sum(seen)
    cut = _path_parts if _mostly(texts, seen, _ADDRESS) else _words if _mostly(texts, seen, _SENTENCE) else None
    if cut is None or path[-1] in IDENTIFYING:
        return []
    found: Counter[str] = Counter()
    for text, count in zip(texts, seen, strict=True):
        for part in cut(text):
            found[part] += count
    fit = [(part, count) for part, count in found.items() if FEWEST_UNITS <= count <= WIDEST_TEXT * total]
    return [part for part, _ in sorted(fit, key=lambda one: (-one[1], one[0]))[:MOST_PARTS]]


def _mostly(texts: Sequence[str], seen: Sequence[int], form: re.Pattern[str]) -> bool:
    return 2 * sum(count for text, count in zip(texts, seen, strict=True) if form.search(text)) > sum(seen)


def _path_parts(text: str) -> set[str]:
    """`/billing` and `/billing/invoices` of an address, without its host and query; steps with digits name a thing, not a kind."""
    steps = [step for step in re.split(r"[?#]", re.sub(r"^[a-z]+://[^/]*", "", text))[0].split("/") if step]
    kinds = list(itertools.takewhile(lambda step: not re.search(r"\d", step) and len(step) <= 40, steps))
    return {"/" + "/".join(kinds[:depth]) for depth in (1, 2) if len(kinds) >= depth}


def _words(text: str) -> set[str]:
    return set(re.findall(r"[^\W\d_]{4,24}", text.casefold()))


def _cut(carried: Carried, numbers: _Numbers, spans: Sequence[First | Last]) -> Iterator[Clause]:
    """Reached so much, all in all so much, at most so little; in the spans of a week."""
    match = EventMatch(events=(carried.event,))
    greatest, summed = (numbers.weekly(measure) for measure in (Measure.max, Measure.sum))
    for span in [one for one in spans if isinstance(one, Last) or one.first <= WEEK]:
        for cut in thresholds(greatest, SHARES):
            yield Total(kind="total", match=match, property=carried.path, measure=Measure.max, at_least=cut, span=span)
        for cut in thresholds(np.sort(numbers.value), QUINTILES):
            yield Did(kind="did", match=_match(carried, Op.at_most, cut), span=span)
        if isinstance(span, First) and (numbers.value >= 0).all():
            for cut in thresholds(summed, QUINTILES):
                yield Total(kind="total", match=match, property=carried.path, measure=Measure.sum, at_least=cut, span=span)


def thresholds(ascending: Floats, shares: Sequence[float]) -> list[float]:
    """Round numbers near the values that these shares reach: the roundest between the half-ways to the next ones."""
    if len(ascending) < FEWEST_UNITS:
        return []
    values = np.unique(np.quantile(ascending, [1 - share for share in shares]))
    between = (values[1:] + values[:-1]) / 2
    lows, highs = np.append(values[0], between), np.append(between, values[-1])
    return sorted({roundest(float(low), float(value), float(high)) for low, value, high in zip(lows, values, highs, strict=True)})


def roundest(low: float, wanted: float, high: float) -> float:
    """The number between two others with the fewest digits: 1, 2 or 5 times a power of ten as step; of several the nearest to what is wanted."""
    if not low < high:
        return wanted
    power = math.ceil(math.log10(max(abs(low), abs(high)))) if low or high else 0
    for exponent in range(power, power - 12, -1):
        for leading in (5, 2, 1) if exponent < power else (1,):
            step = leading * 10.0**exponent
            nearest = round(wanted / step) * step
            if low <= nearest <= high:
                return round(nearest, max(0, -exponent))
    return wanted
