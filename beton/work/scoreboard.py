"""Did it hold? Per hypothesis and per route: how many signals there were, what became of them, how that compares with what was promised, and what
sending adds. What cannot be told yet says why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal

from backtest.realised import Realised
from beton.lifecycle import Status
from beton.signals import Feedback
from beton.store import alarms, backtests, holdouts, hypotheses, hypothesis_lists, proof_counts, routes
from beton.store.alarms import BrokenName, DriftAlarm
from beton.store.holdouts import Holdout
from beton.store.records import Hypothesis, Route
from beton.store.store import Transaction
from beton.work.adding import LEAST, Incremental, incremental
from beton.work.promising import Promise, promise_of
from beton.work.workplace import Workplace

SHOWN = (Status.APPROVED, Status.PAUSED, Status.RETIRED)

Verdict = Literal["kept", "below", "above", "cannot_tell"]


@dataclass(frozen=True)
class Line:
    """One hypothesis, in its present version. `sent`: reached a receiver; `held`: written down and not sent, by the reason."""

    hypothesis: Hypothesis
    signals: int
    sent: int
    held: Mapping[str, int]
    accepted: int
    said: Mapping[Feedback, int]
    realised: Realised
    lost: int
    promise: Promise | None
    incremental: Incremental
    alarm: DriftAlarm | None
    broken: tuple[BrokenName, ...]

    @property
    def verdict(self) -> Verdict:
        """Whether the promise is kept, as far as the numbers say at any look."""
        return against(self.realised, self.promise)


@dataclass(frozen=True)
class RouteLine:
    """One route: signals that its receiver took, and what became of them. `promised`: the mean promise over those that have matured."""

    route: Route
    delivered: int
    realised: Realised
    promised: float | None


@dataclass(frozen=True)
class Scoreboard:
    """All that is or was live, and all routes."""

    lines: tuple[Line, ...]
    routes: tuple[RouteLine, ...]

    @property
    def total(self) -> Realised:
        """Over all hypotheses."""
        return sum((one.realised for one in self.lines), Realised())


def scoreboard(place: Workplace) -> Scoreboard:
    """Of the workspace."""
    with place.store.reading() as tx:
        found = [one for one in hypotheses.every(tx, statuses=SHOWN) if one.fired_count or one.status is not Status.RETIRED]
        lines = _lines(tx, found)
        return Scoreboard(tuple(sorted(lines, key=_order)), _routes(tx))


def line(place: Workplace, hypothesis_id: str) -> Line:
    """Of one hypothesis, whatever its status."""
    with place.store.reading() as tx:
        return _lines(tx, [hypotheses.get(tx, hypothesis_id)])[0]


def against(realised: Realised, promise: Promise | None) -> Verdict:
    """`below` or `above` where all that the realised precision may be lies outside of the promised interval; `kept` where its middle lies within."""
    seen = realised.at_any_look
    if promise is None or promise.low is None or promise.high is None or seen is None or realised.precision is None:
        return "cannot_tell"
    if seen.high < promise.low:
        return "below"
    if seen.low > promise.high:
        return "above"
    return "kept" if realised.matured >= LEAST and promise.low <= realised.precision <= promise.high else "cannot_tell"


def choose_holdout(place: Workplace, hypothesis_id: str, share: float, *, actor: str) -> Holdout:
    """Hold out another share of a hypothesis's accounts from now on."""
    with place.store.transaction() as tx:
        return holdouts.choose(tx, hypothesis_id, share, actor=actor)


def _lines(tx: Transaction, found: list[Hypothesis]) -> list[Line]:
    only = found[0].id if len(found) == 1 else None
    became, said = proof_counts.tally(tx, only), proof_counts.said(tx, only)
    written, sent = proof_counts.written(tx, only), proof_counts.sent(tx, only)
    promises, chosen = _promises(tx, [(one.id, one.version) for one in found]), holdouts.every(tx)
    waiting = {one.hypothesis_id: one for one in reversed(alarms.alarms(tx, open_only=True))}
    breaks: dict[str, list[BrokenName]] = {}
    for one in alarms.broken_names(tx):
        breaks.setdefault(one.hypothesis_id, []).append(one)
    lines = []
    for one in found:
        key = (one.id, one.version)
        told, talk, wrote = became.get(key, {}), said.get(key, {}), written.get(key, {})
        promise, holdout = promises.get(key), chosen.get(one.id, Holdout(hypothesis_id=one.id))
        drawn = holdouts.drawn(tx, holdout, one.version) if holdout.share else []
        sizes = holdouts.sizes(tx, holdout, one.version) if holdout.share else (0, 0)
        lines.append(
            Line(
                hypothesis=one,
                signals=sum(wrote.values()),
                sent=sent.get(key, 0),
                held={name.removeprefix("held:"): number for name, number in sorted(wrote.items()) if name != "free"},
                accepted=talk.get(Feedback.WORKED, 0) + talk.get("claimed", 0),
                said={each: talk.get(each, 0) for each in Feedback},
                realised=_realised(told),
                lost=told.get("lost", 0),
                promise=promise,
                incremental=incremental(holdout, sizes, drawn, promise.precision if promise else None),
                alarm=waiting.get(one.id),
                broken=tuple(breaks.get(one.id, ())),
            )
        )
    return lines


def _realised(told: Mapping[str, int]) -> Realised:
    hits = told.get("converted", 0)
    return Realised(told.get("open", 0), told.get("before", 0), hits + told.get("not", 0), hits)


def _promises(tx: Transaction, keys: Collection[tuple[str, int]]) -> dict[tuple[str, int], Promise]:
    """By hypothesis and version, of those that were approved on a result."""
    said = hypothesis_lists.said(tx, set(keys))
    results = backtests.some(tx, [one.backtest_id for one in said.values() if one.backtest_id])
    made = {key: promise_of(results[one.backtest_id].result) for key, one in said.items() if one.backtest_id in results}
    return {key: one for key, one in made.items() if one is not None}


def _routes(tx: Transaction) -> tuple[RouteLine, ...]:
    counts = proof_counts.tally_of_routes(tx)
    promises = _promises(tx, {key[1:] for key in counts})
    lines = []
    for route in routes.every(tx):
        mine = {key[1:]: told for key, told in counts.items() if key[0] == route.id}
        total = sum((_realised(told) for told in mine.values()), Realised())
        matured = Counter({key: _realised(told).matured for key, told in mine.items() if key in promises})
        weight = matured.total()
        promised = sum(number * promises[key].precision for key, number in matured.items()) / weight if weight else None
        delivered = sum(sum(told.values()) for told in mine.values())
        lines.append(RouteLine(route, delivered, total, promised))
    return tuple(lines)


def _order(one: Line) -> tuple[bool, bool, int]:
    """Those that ask for attention first, then the busiest."""
    return not (one.alarm or one.broken), one.hypothesis.status is not Status.APPROVED, -one.signals
