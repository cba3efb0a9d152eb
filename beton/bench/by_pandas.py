"""One hypothesis of the measured mix over the raw table in pandas: the same steps as in polars. The table is in order of time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from backtest.durations import DAY
from backtest.language import Clause, Counted, Did, DidNot, First, Sequence
from backtest.matching import EventMatch
from beton.bench.sql import NEVER, Question, length


@dataclass(frozen=True)
class Frames:
    """`events` and `units` per unit kind; instants that are missing are `NEVER`."""

    events: Mapping[bool, Any]
    units: Mapping[bool, Any]


def counts(question: Question, frames: Frames) -> tuple[int, ...]:
    one, end, horizon = question.hypothesis, question.window.end, int(question.hypothesis.horizon)
    held = _intervals(one.clauses[0], question, frames)
    for clause in one.clauses[1:]:
        both = held.merge(_intervals(clause, question, frames), on="unit", suffixes=("", "_other"))
        both["start"], both["stop"] = np.maximum(both["start"], both["start_other"]), np.minimum(both["stop"], both["stop_other"])
        held = both.loc[both["start"] < both["stop"], ["unit", "start", "stop"]]
    begins = held.merge(frames.units[question.of_accounts], on="unit")
    entry = begins[question.entry]
    begins["fired"] = np.maximum(begins["start"], entry)
    fired = begins["fired"]
    keep = (entry < NEVER) & (fired >= question.s0) & (fired < end) & (fired < begins["stop"])
    if one.counts_entrants_only:
        keep &= entry >= question.s0
    fires = begins[keep].groupby("unit", sort=False).agg(fired=("fired", "min"), paid=("paid_at", "first"))
    fired, paid = fires["fired"], fires["paid"]
    open_, whole = paid > fired, fired + horizon <= end
    hit = open_ & (paid <= fired + horizon)
    return tuple(int(value) for value in (len(fires), (~open_).sum(), (open_ & ~whole).sum(), (open_ & whole).sum(), (hit & whole).sum(), hit.sum()))


def _intervals(clause: Clause, question: Question, frames: Frames) -> Any:
    if isinstance(clause, Did):
        found = _found(clause.match, question, frames)
        if isinstance(clause.span, First):
            return _nth(clause, _in_first(found, length(clause.span), question, frames))
        last = length(clause.span)
        return _persons_lately(clause, found, last) if clause.count is Counted.persons else _lately(clause, found, last)
    if isinstance(clause, DidNot):
        return _silent(clause, question, frames)
    if isinstance(clause, Sequence):
        return _pair(clause, question, frames)
    raise ValueError(f"{clause.kind} is not in the measured mix")


def _found(match: EventMatch, question: Question, frames: Frames) -> Any:
    events = frames.events[question.of_accounts]
    held = np.ones(len(events), np.bool_) if match.any_event else events["name"] == question.names[match.events[0]]
    for one in match.where:
        held &= events["plan"] == question.plans[str(one.value)]
    return events[held]


def _in_first(found: Any, first: int, question: Question, frames: Frames) -> Any:
    joined = found.merge(frames.units[question.of_accounts], on="unit")
    entry = joined[question.entry]
    return joined[(entry <= joined["ts"]) & (joined["ts"] < entry + first)]


def _by_day(found: Any) -> Any:
    days = found.assign(day=found["ts"] // DAY).groupby(["unit", "day"], sort=False)["ts"].agg(["min", "max"]).reset_index()
    return days.rename(columns={"min": "ts", "max": "closes"}).sort_values("ts")


def _nth(clause: Did, found: Any) -> Any:
    if clause.count is Counted.days:
        found = _by_day(found)
    nth = found[found.groupby("unit", sort=False).cumcount() == clause.at_least - 1]
    return pd.DataFrame({"unit": nth["unit"], "start": nth["ts"], "stop": NEVER})


def _lately(clause: Did, found: Any, last: int) -> Any:
    found = _by_day(found) if clause.count is Counted.days else found.assign(closes=found["ts"])
    oldest = found.groupby("unit", sort=False)["closes"].shift(clause.at_least - 1, fill_value=-NEVER)
    windows = pd.DataFrame({"unit": found["unit"], "start": found["ts"], "stop": oldest + last})
    return _united(windows[windows["start"] < windows["stop"]])


def _united(windows: Any) -> Any:
    before_it = windows.groupby("unit", sort=False)["stop"].shift(1, fill_value=-NEVER)
    begins = windows["start"] > before_it
    numbered = windows.assign(island=begins.groupby(windows["unit"], sort=False).cumsum())
    return numbered.groupby(["unit", "island"], sort=False).agg(start=("start", "min"), stop=("stop", "max")).reset_index()[["unit", "start", "stop"]]


def _persons_lately(clause: Did, found: Any, last: int) -> Any:
    at = found.groupby(["unit", "person"], sort=False)["ts"]
    ups = found[found["ts"] > at.shift(1, fill_value=-NEVER) + last]
    downs = found[at.shift(-1, fill_value=NEVER) > found["ts"] + last]
    steps = pd.concat(
        [pd.DataFrame({"unit": ups["unit"], "t": ups["ts"], "step": 1}), pd.DataFrame({"unit": downs["unit"], "t": downs["ts"] + last, "step": -1})]
    )
    level = steps.groupby(["unit", "t"], sort=False)["step"].sum().reset_index().sort_values("t")
    per_unit = level.groupby("unit", sort=False)
    pieces = pd.DataFrame({"unit": level["unit"], "start": level["t"], "stop": per_unit["t"].shift(-1, fill_value=NEVER)})
    return _united(pieces[per_unit["step"].cumsum() >= clause.at_least])


def _silent(clause: DidNot, question: Question, frames: Frames) -> Any:
    found, units = _found(clause.match, question, frames), frames.units[question.of_accounts]
    units = units[units[question.entry] < NEVER]
    if isinstance(clause.span, First):
        first = length(clause.span)
        quiet = units[~units["unit"].isin(_in_first(found, first, question, frames)["unit"])]
        return pd.DataFrame({"unit": quiet["unit"], "start": quiet[question.entry] + first, "stop": NEVER})
    last = length(clause.span)
    after = pd.DataFrame(
        {"unit": found["unit"], "start": found["ts"] + last, "stop": found.groupby("unit", sort=False)["ts"].shift(-1, fill_value=NEVER)}
    )
    earliest = found.groupby("unit", sort=False)["ts"].min()
    before = pd.DataFrame({"unit": earliest.index, "start": -NEVER, "stop": earliest.to_numpy()})
    never = pd.DataFrame({"unit": units.loc[~units["unit"].isin(found["unit"]), "unit"], "start": -NEVER, "stop": NEVER})
    gaps = pd.concat([after, before, never]).merge(units, on="unit")
    gaps["start"] = np.maximum(gaps["start"], gaps[question.entry] + last)
    return gaps.loc[gaps["start"] < gaps["stop"], ["unit", "start", "stop"]]


def _pair(clause: Sequence, question: Question, frames: Frames) -> Any:
    a, b = (_found(match, question, frames) for match in (clause.match, clause.then))
    if isinstance(clause.span, First):
        a, b = (_in_first(found, length(clause.span), question, frames) for found in (a, b))
    earlier = pd.DataFrame({"unit": a["unit"], "ts": a["ts"], "earlier": a["ts"]})
    pairs = pd.merge_asof(b[["unit", "ts"]], earlier, on="ts", by="unit", allow_exact_matches=False).dropna(subset=["earlier"])
    pairs["earlier"] = pairs["earlier"].astype(np.int64)
    if clause.within is not None:
        pairs = pairs[pairs["ts"] - pairs["earlier"] <= int(clause.within)]
    if isinstance(clause.span, First):
        first = pairs.groupby("unit", sort=False)["ts"].min()
        return pd.DataFrame({"unit": first.index, "start": first.to_numpy(), "stop": NEVER})
    last = length(clause.span)
    windows = pd.DataFrame({"unit": pairs["unit"], "start": pairs["ts"], "stop": pairs["earlier"] + last})
    return _united(windows[windows["start"] < windows["stop"]])
