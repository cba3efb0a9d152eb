"""One hypothesis with everything around it: numbers of discovery and confirmation, history, versions, signals."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from beton.signals import Signal
from beton.store import audit, backtests, hypotheses, runs, signals
from beton.store.records import AuditEntry, Backtest, HypothesisVersion, Run
from beton.store.records import Hypothesis as Kept
from beton.work.reviewing import Proposal, proposal
from beton.work.workplace import Workplace

MOST_HISTORY = 60
LAST_SIGNALS = 5
COMPARED = ("precision", "recall", "lift_vs_baseline", "closed.lift", "weekly")
"""Numbers that stand side by side where two are compared."""


@dataclass(frozen=True)
class Sight:
    """A hypothesis as its own page shows it."""

    proposal: Proposal
    history: tuple[AuditEntry, ...]
    versions: tuple[HypothesisVersion, ...]
    results: tuple[Backtest, ...]
    signals: tuple[Signal, ...]
    run: Run | None
    """The run that the newest numbers come from."""

    @property
    def hypothesis(self) -> Kept:
        """The row itself."""
        return self.proposal.resource.hypothesis

    @property
    def sides(self) -> dict[str, dict[str, Any]]:
        """The numbers by what they were computed on: `whole`, and for a find `discovery` and `confirmed`."""
        newest = self.proposal.resource.backtest
        if newest is None:
            return {}
        return {"whole": newest.result} | {name: newest.result[name] for name in ("discovery", "confirmed") if newest.result.get(name)}


def look(place: Workplace, hypothesis_id: str, *, units: bool) -> Sight:
    """Everything around it; the last signals only where `units` may be seen."""
    one = proposal(place, hypothesis_id)
    newest = one.resource.backtest
    with place.store.reading() as tx:
        return Sight(
            proposal=one,
            history=tuple(audit.entries(tx, object_id=hypothesis_id, limit=MOST_HISTORY)),
            versions=tuple(hypotheses.versions(tx, hypothesis_id)),
            results=tuple(backtests.history(tx, hypothesis_id)[:20]),
            signals=signals.listing(tx, hypothesis_id=hypothesis_id, limit=LAST_SIGNALS).data if units else (),
            run=None if newest is None else runs.get(tx, newest.run_id),
        )


@dataclass(frozen=True)
class Difference:
    """One number of two hypotheses. `apart` says whether their intervals do not overlap; `None` where one has none."""

    a: tuple[float | None, float | None, float | None]
    b: tuple[float | None, float | None, float | None]

    @property
    def apart(self) -> bool | None:
        """Intervals that do not overlap are surely different; overlapping ones may be all the same."""
        _, a_low, a_high = self.a
        _, b_low, b_high = self.b
        if a_low is None or a_high is None or b_low is None or b_high is None:
            return None
        return a_low > b_high or b_low > a_high


def differences(a: Proposal, b: Proposal, names: Iterable[str]) -> dict[str, Difference]:
    """Of numbers of the whole window, each with its interval."""
    return {name: Difference(_with_interval(a, name), _with_interval(b, name)) for name in names}


def _with_interval(one: Proposal, name: str) -> tuple[float | None, float | None, float | None]:
    told: dict[str, Any] = {} if one.resource.backtest is None else one.resource.backtest.result
    if name == "weekly":
        return (None, None, None) if one.weekly is None else (one.weekly.value, one.weekly.low, one.weekly.high)
    for part in name.split(".")[:-1]:
        told = told.get(part) or {}
    key = name.rpartition(".")[2]
    return told.get(key), told.get(f"{key}_low"), told.get(f"{key}_high")
