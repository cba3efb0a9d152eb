"""Tallies and baselines as JSON values and back, without loss: what a finished hash bucket leaves behind, so that a crash costs only the
unfinished one. Whole numbers, ages and flags; no unit, no event, no property.
"""

from __future__ import annotations

import base64
import zlib
from dataclasses import asdict
from typing import Any

import numpy as np

from backtest.baseline import AgeTable, Comparators
from backtest.detail import Detail
from backtest.engine import Backtest
from backtest.judged import Judged
from backtest.labels import Order
from backtest.lead import Actionable
from backtest.proportions import Closed
from backtest.stratified import Strata
from backtest.tally import Baseline, Tally


def dump(done: Backtest) -> dict[str, Any]:
    """What a backtest has added up so far. Keys of baselines are those of the first hypothesis that uses them."""
    firsts = {done.key_of(index): index for index in reversed(range(len(done.hypotheses)))}
    return {
        "tallies": {str(index): _tally(one) for index, one in done.tallies.items()},
        "details": {str(index): _detail(one) for index, one in done.details.items()},
        "baselines": {str(firsts[key]): _baseline(one) for key, one in done.baselines.items()},
    }


def add(whole: Backtest, part: dict[str, Any]) -> None:
    """Add a dumped part to a backtest of the same hypotheses."""
    for index, one in part["tallies"].items():
        whole.add_tally(int(index), _as_tally(one))
    for index, one in part["details"].items():
        whole.add_detail(int(index), _as_detail(one))
    for index, one in part["baselines"].items():
        whole.add_baseline(int(index), _as_baseline(one))


def _tally(one: Tally) -> dict[str, Any]:
    closed = one.closed
    return {
        "counts": [one.fires_total, one.excluded_converted, one.pending, one.recall_converters, one.recall_hits],
        "closed": [closed.tp, closed.fp, closed.fn, closed.tn],
        "ages": _ints(one.ages),
        "hits": _ints(one.hits.astype(np.int64)),
        "leads": _ints(one.leads),
        "fired": _table(one.fired),
    }


def _as_tally(told: dict[str, Any]) -> Tally:
    fires, converted, pending, converters, recalled = told["counts"]
    return Tally(
        fires_total=fires,
        excluded_converted=converted,
        pending=pending,
        recall_converters=converters,
        recall_hits=recalled,
        closed=Closed(*told["closed"]),
        ages=_as_ints(told["ages"]),
        hits=_as_ints(told["hits"]).astype(np.bool_),
        leads=_as_ints(told["leads"]),
        fired=_as_table(told["fired"]),
    )


def _detail(one: Detail) -> dict[str, Any]:
    strata, later = one.strata, one.actionable
    return {
        "strata": [_ints(part) for part in (strata.units, strata.converters, strata.fired, strata.hits)],
        "patterns": _ints(one.patterns.ravel()),
        "times": _ints(one.times),
        "actionable": [later.too_late, later.pending, _ints(later.ages), _ints(later.hits)],
        "order": asdict(one.order),
        "judged": [_ints(part) for part in (one.judged.ages, *one.judged.own.columns)],
    }


def _as_detail(told: dict[str, Any]) -> Detail:
    too_late, pending, ages, hits = told["actionable"]
    judged_at, *own = map(_as_ints, told["judged"])
    return Detail(
        strata=Strata(*map(_as_ints, told["strata"])),
        patterns=_as_ints(told["patterns"]).reshape(-1, 4),
        times=_as_ints(told["times"]),
        actionable=Actionable(too_late, pending, _as_ints(ages), _as_ints(hits).astype(np.bool_)),
        order=Order(**told["order"]),
        judged=Judged(judged_at, Comparators(*own)),
    )


def _baseline(one: Baseline) -> dict[str, Any]:
    comparators = [_ints(part) for part in one.comparators.columns]
    return {"population": one.population, "comparators": comparators, "awake": _table(one.awake)}


def _as_baseline(told: dict[str, Any]) -> Baseline:
    return Baseline(told["population"], Comparators(*map(_as_ints, told["comparators"])), _as_table(told["awake"]))


def _table(one: AgeTable) -> list[str]:
    return [_ints(part) for part in (one.risk_starts, one.risk_stops, one.hit_starts, one.hit_stops)]


def _as_table(told: list[str]) -> AgeTable:
    return AgeTable(*map(_as_ints, told))


def _ints(values: np.ndarray) -> str:
    return base64.b64encode(zlib.compress(values.astype("<i8").tobytes(), 1)).decode()


def _as_ints(text: str) -> np.ndarray:
    return np.frombuffer(zlib.decompress(base64.b64decode(text)), "<i8").astype(np.int64)
