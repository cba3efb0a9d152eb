"""One hypothesis of the measured mix over the raw table in polars, written as one writes it: filter, sort out per unit, join.

The table is in order of time, which every window function below relies on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from backtest.durations import DAY
from backtest.language import Clause, Counted, Did, DidNot, First, Sequence
from backtest.matching import EventMatch
from beton.bench.sql import NEVER, Question, length

UNIT, AT, START, STOP = pl.col("unit"), pl.col("ts"), pl.col("start"), pl.col("stop")


@dataclass(frozen=True)
class Tables:
    """`events` and `units` per unit kind, as in `beton.bench.sql`."""

    events: Mapping[bool, pl.DataFrame]
    units: Mapping[bool, pl.DataFrame]


def counts(question: Question, tables: Tables) -> tuple[int, ...]:
    one, window, horizon = question.hypothesis, question.window, int(question.hypothesis.horizon)
    held = _intervals(one.clauses[0], question, tables)
    for clause in one.clauses[1:]:
        both = held.join(_intervals(clause, question, tables), on="unit", suffix="_other")
        start, stop = pl.max_horizontal("start", "start_other"), pl.min_horizontal("stop", "stop_other")
        held = both.select("unit", start=start, stop=stop).filter(START < STOP)
    entry = pl.col(question.entry)
    begins = held.join(tables.units[question.of_accounts], on="unit").with_columns(fired=pl.max_horizontal(START, entry))
    fired, paid = pl.col("fired"), pl.col("paid_at").fill_null(NEVER)
    keep = entry.is_not_null() & (fired >= question.s0) & (fired < window.end) & (fired < STOP)
    if one.counts_entrants_only:
        keep &= entry >= question.s0
    fires = begins.filter(keep).group_by("unit").agg(fired.min(), pl.col("paid_at").first())
    open_, whole = paid > fired, fired + horizon <= window.end
    hit = open_ & (paid <= fired + horizon)
    found = fires.select(
        pl.len(), (~open_).sum().alias("1"), (open_ & ~whole).sum().alias("2"), (open_ & whole).sum().alias("3"),
        (hit & whole).sum().alias("4"), hit.sum().alias("5"),
    )  # fmt: skip
    return tuple(int(value) for value in found.row(0))


def _where(match: EventMatch, question: Question) -> pl.Expr:
    held = pl.lit(value=True) if match.any_event else pl.col("name") == question.names[match.events[0]]
    for one in match.where:
        held &= pl.col("plan") == question.plans[str(one.value)]
    return held


def _intervals(clause: Clause, question: Question, tables: Tables) -> pl.DataFrame:
    if isinstance(clause, Did):
        found = _found(clause.match, question, tables)
        if isinstance(clause.span, First):
            return _nth(clause, _in_first(found, length(clause.span), question, tables))
        last = length(clause.span)
        return _persons_lately(clause, found, last) if clause.count is Counted.persons else _lately(clause, found, last)
    if isinstance(clause, DidNot):
        return _silent(clause, question, tables)
    if isinstance(clause, Sequence):
        return _pair(clause, question, tables)
    raise ValueError(f"{clause.kind} is not in the measured mix")


def _found(match: EventMatch, question: Question, tables: Tables) -> pl.DataFrame:
    return tables.events[question.of_accounts].filter(_where(match, question))


def _in_first(found: pl.DataFrame, first: int, question: Question, tables: Tables) -> pl.DataFrame:
    entry = pl.col(question.entry)
    return found.join(tables.units[question.of_accounts], on="unit", maintain_order="left").filter((entry <= AT) & (entry + first > AT))


def _by_day(found: pl.DataFrame) -> pl.DataFrame:
    return found.group_by("unit", day=AT // DAY).agg(AT.min(), closes=AT.max()).sort("ts")


def _nth(clause: Did, found: pl.DataFrame) -> pl.DataFrame:
    if clause.count is Counted.days:
        found = _by_day(found)
    nth = found.filter(pl.int_range(pl.len()).over("unit") == clause.at_least - 1)
    return nth.select("unit", start=AT, stop=pl.lit(NEVER))


def _lately(clause: Did, found: pl.DataFrame, last: int) -> pl.DataFrame:
    found = _by_day(found) if clause.count is Counted.days else found.with_columns(closes=AT)
    windows = found.select("unit", start=AT, stop=pl.col("closes").shift(clause.at_least - 1).over("unit") + last)
    return _united(windows.filter(START < STOP))


def _united(windows: pl.DataFrame) -> pl.DataFrame:
    before_it = STOP.shift(1).over("unit")
    begins = (before_it.is_null() | (before_it < START)).alias("begins")
    numbered = windows.with_columns(begins).with_columns(island=pl.col("begins").cum_sum().over("unit"))
    return numbered.group_by("unit", "island").agg(START.min(), STOP.max()).select("unit", "start", "stop")


def _persons_lately(clause: Did, found: pl.DataFrame, last: int) -> pl.DataFrame:
    earlier, later = AT.shift(1).over("unit", "person"), AT.shift(-1).over("unit", "person")
    ups = found.filter(earlier.is_null() | (earlier + last < AT)).select("unit", t=AT, step=pl.lit(1))
    downs = found.filter(later.is_null() | (later > AT + last)).select("unit", t=AT + last, step=pl.lit(-1))
    level = pl.concat([ups, downs]).group_by("unit", "t").agg(pl.col("step").sum()).sort("t")
    pieces = level.select(
        "unit", start=pl.col("t"), stop=pl.col("t").shift(-1).over("unit").fill_null(NEVER), level=pl.col("step").cum_sum().over("unit")
    )
    return _united(pieces.filter(pl.col("level") >= clause.at_least))


def _silent(clause: DidNot, question: Question, tables: Tables) -> pl.DataFrame:
    found, units, entry = _found(clause.match, question, tables), tables.units[question.of_accounts], pl.col(question.entry)
    if isinstance(clause.span, First):
        first = length(clause.span)
        quiet = units.filter(entry.is_not_null()).join(_in_first(found, first, question, tables), on="unit", how="anti")
        return quiet.select("unit", start=entry + first, stop=pl.lit(NEVER))
    last = length(clause.span)
    after = found.select("unit", start=AT + last, stop=AT.shift(-1).over("unit").fill_null(NEVER))
    before = found.group_by("unit").agg(stop=AT.min()).select("unit", start=pl.lit(-NEVER), stop=STOP)
    never = units.join(found, on="unit", how="anti").select("unit", start=pl.lit(-NEVER), stop=pl.lit(NEVER))
    gaps = pl.concat([after, before, never]).join(units.filter(entry.is_not_null()), on="unit")
    return gaps.select("unit", start=pl.max_horizontal(START, entry + last), stop=STOP).filter(START < STOP)


def _pair(clause: Sequence, question: Question, tables: Tables) -> pl.DataFrame:
    a, b = (_found(match, question, tables) for match in (clause.match, clause.then))
    if isinstance(clause.span, First):
        a, b = (_in_first(found, length(clause.span), question, tables) for found in (a, b))
    earlier = a.select("unit", "ts", earlier=AT)
    pairs = b.select("unit", "ts").join_asof(earlier, on="ts", by="unit", allow_exact_matches=False, check_sortedness=False)
    pairs = pairs.filter(pl.col("earlier").is_not_null())
    if clause.within is not None:
        pairs = pairs.filter(AT - pl.col("earlier") <= int(clause.within))
    if isinstance(clause.span, First):
        return pairs.group_by("unit").agg(start=AT.min()).with_columns(stop=pl.lit(NEVER))
    last = length(clause.span)
    return _united(pairs.select("unit", start=AT, stop=pl.col("earlier") + last).filter(START < STOP))
