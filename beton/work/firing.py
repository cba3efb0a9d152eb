"""Who would have fired: the last fires of a backtest, with what became of them. Kept so that an approval is judged by people that one knows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from backtest import EventLog, Hypothesis
from backtest.fires import Fires, first_matches
from backtest.intervals import FOREVER
from beton.store import fires
from beton.store.fires import MOST
from beton.store.records import BacktestFire, Connection
from beton.store.store import Transaction
from beton.work.workplace import instant


def latest_fires(hypothesis: Hypothesis, log: EventLog, found: Fires | None = None) -> list[BacktestFire]:
    """The last first fires in a log, at most as many as are kept; `found` where they are known already."""
    firsts = (first_matches(hypothesis, log) if found is None else found).firsts()
    last = np.argsort(-firsts.at, kind="stable")[:MOST]
    outcome = log.outcome(hypothesis)
    kind = "person" if hypothesis.unit == "person" else "account"
    return [
        BacktestFire(
            unit_kind=kind,
            unit_id=log.units[unit],
            fired_at=instant(at),
            outcome_at=None if outcome[unit] >= FOREVER else instant(int(outcome[unit])),
        )
        for unit, at in zip(firsts.unit[last].tolist(), firsts.at[last].tolist(), strict=True)
        if log.units[unit]
    ]


class Collected:
    """Takes the fires of hypotheses as they are scored, by the place of each in its batch. Of several logs the latest fires of all stay."""

    def __init__(self, hypotheses: Sequence[Hypothesis]) -> None:
        self._hypotheses = hypotheses
        self.by_place: dict[int, list[BacktestFire]] = {}

    def __call__(self, place: int, log: EventLog, found: Fires) -> None:
        every = [*self.by_place.get(place, ()), *latest_fires(self._hypotheses[place], log, found)]
        self.by_place[place] = sorted(every, key=lambda one: one.fired_at, reverse=True)[:MOST]


def keep_fires(
    tx: Transaction, connection: Connection, run_id: str, hypothesis_ids: Sequence[str], found: Mapping[int, Sequence[BacktestFire]], *, last: bool
) -> None:
    """Write fires down, by the places of the hypotheses; with the `last` of a run, what earlier runs have left goes."""
    for place, some in found.items():
        fires.keep(tx, connection.id, run_id, hypothesis_ids[place], some)
    if last:
        fires.settle(tx, run_id, hypothesis_ids)
