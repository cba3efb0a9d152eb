"""What people look at when they decide: proposals in their order, with the volume to expect, and what an approval would set going."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from backtest import Hypothesis as Definition
from backtest.durations import DAY
from backtest.rates import Rate, weekly
from backtest.verdict import Bar, judge
from beton.lifecycle import Status
from beton.store import backtests, connections, fires, hypotheses, hypothesis_lists, routes, runs
from beton.store.hypothesis_lists import Wanted
from beton.store.records import Backtest, BacktestFire, Connection, Hypothesis, Page, Route, Run, RunStatus
from beton.store.store import Transaction
from beton.work.deciding import Resource
from beton.work.workplace import Workplace, microseconds

SHOWN_FIRES = 8
"""Of those who would have fired: enough to see whether one knows them. Half of them have had their whole horizon, where there are such."""

LOOKED_THROUGH = 200

NAMED_BY = {"match", "then", "entry", "event", "events", "property"}
"""Fields of a definition that hold names of the project."""


@dataclass(frozen=True)
class Meaning:
    """What a definition is made of, as far as pages need it. `look_back` and `horizon` in microseconds."""

    look_back: int
    horizon: int
    names: tuple[str, ...]
    unit: str


@dataclass(frozen=True)
class Proposal:
    """A hypothesis as it stands in a list."""

    resource: Resource
    meaning: Meaning
    connection: str
    weekly: Rate | None
    """Signals a week, as the backtest saw them; `None` where it has not been tested."""

    @property
    def verdict(self) -> str:
        """`clears`, `does_not_clear`, `cannot_tell`, or `untested`."""
        told = self.resource.verdict
        return "untested" if told is None else {True: "clears", False: "does_not_clear", None: "cannot_tell"}[told.clears]

    @property
    def key(self) -> tuple[Any, ...]:
        """All that its line is made of, but for what fired meanwhile: rows count their changes, results never change."""
        row, newest = self.resource.hypothesis, self.resource.backtest
        return (row.id, row.row_version, row.connection_id, newest and newest.id, self.resource.verdict, self.connection)

    @property
    def judged(self) -> dict[str, Any] | None:
        """The numbers that the verdict rests on: for a find those of the later data, for a written one all."""
        if self.resource.backtest is None:
            return None
        result = self.resource.backtest.result
        return result.get("confirmed") if self.resource.hypothesis.selected else result


@dataclass(frozen=True)
class Queue:
    """Some of a listing, what is around it, and what it may be narrowed by."""

    proposals: tuple[Proposal, ...]
    next_after: str | None
    by_verdict: Mapping[str, int]
    connections: tuple[Connection, ...]

    @property
    def total(self) -> int:
        """All that were asked for, whatever their verdict."""
        return sum(self.by_verdict.values())


@dataclass(frozen=True)
class Outlook:
    """What an approval sets going: who would have fired lately, how many a week, and where they go."""

    proposal: Proposal
    routes: tuple[Route, ...]
    fires: tuple[BacktestFire, ...]

    def open(self, fire: BacktestFire) -> bool:
        """Whether the outcome may still come in time."""
        newest = self.proposal.resource.backtest
        return newest is not None and microseconds(fire.fired_at) + self.proposal.meaning.horizon > microseconds(newest.as_of)


@dataclass(frozen=True)
class Explained:
    """Why nothing waits: what the last search tried, and what became of it."""

    run: Run | None
    connection: str | None
    results: int
    cleared: int
    best_lift: float | None
    reasons: tuple[tuple[str, int], ...]
    """Sentences of what stood against them, the most frequent first."""
    best_null: str | None
    snoozed: int


def queue(place: Workplace, wanted: Wanted, *, limit: int = 25, after: str | None = None) -> Queue:
    """Hypotheses in the order of their rank."""
    bar = place.bar
    with place.store.reading() as tx:
        found = hypotheses.ranked(tx, wanted, limit=limit, after=after)
        return _queue(tx, bar, wanted, found)


def listing(place: Workplace, wanted: Wanted, *, limit: int = 50, after: str | None = None) -> Queue:
    """Hypotheses, the newest first."""
    bar = place.bar
    with place.store.reading() as tx:
        found = hypotheses.newest(tx, wanted, limit=limit, after=after)
        return _queue(tx, bar, wanted, found)


def proposals(place: Workplace, hypothesis_ids: Sequence[str]) -> list[Proposal]:
    """These, in their order; unknown ones are missing."""
    bar = place.bar
    with place.store.reading() as tx:
        return _proposals(tx, bar, hypotheses.some(tx, hypothesis_ids), {one.id: one for one in connections.every(tx)})


def proposal(place: Workplace, hypothesis_id: str) -> Proposal:
    """One of them."""
    bar = place.bar
    with place.store.reading() as tx:
        row = hypotheses.get(tx, hypothesis_id)
        return _proposals(tx, bar, [row], {one.id: one for one in connections.every(tx)})[0]


def outlook(place: Workplace, hypothesis_id: str, *, units: bool) -> Outlook:
    """What approving it would mean; who would have fired is told only where `units` may be seen."""
    bar = place.bar
    with place.store.reading() as tx:
        row = hypotheses.get(tx, hypothesis_id)
        (one,) = _proposals(tx, bar, [row], {known.id: known for known in connections.every(tx)})
        newest = one.resource.backtest
        fired = [] if newest is None or not units else fires.latest(tx, row.id, newest.run_id, limit=LOOKED_THROUGH)
        return Outlook(one, _open(tx), _telling(one, fired))


def _telling(one: Proposal, fired: list[BacktestFire]) -> tuple[BacktestFire, ...]:
    """The latest, and the latest of those that have had their whole horizon: of these one knows what became."""
    newest = one.resource.backtest
    over = [] if newest is None else [fire for fire in fired if microseconds(fire.fired_at) + one.meaning.horizon <= microseconds(newest.as_of)]
    known = over[: SHOWN_FIRES // 2]
    latest = [fire for fire in fired if fire not in known][: SHOWN_FIRES - len(known)]
    return tuple(fire for fire in fired if fire in latest or fire in known)


def open_routes(place: Workplace) -> tuple[Route, ...]:
    """Those that take signals now: each gets every signal of what is approved."""
    with place.store.reading() as tx:
        return _open(tx)


def waiting(place: Workplace) -> Mapping[str, int]:
    """How many proposals wait, by verdict."""
    with place.store.reading() as tx:
        return hypothesis_lists.count_by_verdict(tx, Wanted(statuses=(Status.PROPOSED,)))


def explained(place: Workplace) -> Explained:
    """Told by the record of the last search that ended."""
    with place.store.reading() as tx:
        ended = runs.listing(tx, kind="propose", statuses=(RunStatus.DONE,), limit=1).data
        snoozed = hypothesis_lists.count_by_status(tx)[Status.SNOOZED]
        if not ended:
            return Explained(None, None, 0, 0, None, (), None, snoozed)
        run = ended[0]
        results = backtests.of_run(tx, run.id)
        names = {one.id: one.name for one in connections.every(tx)}
    verdicts = [judge(one.result, place.bar, selected=True) for one in results]
    against = Counter(reason.code for verdict in verdicts for reason in verdict.reasons)
    lifts = [lift for one in results if (lift := _judged_lift(one)) is not None]
    null = next((one.result["best_null_lift"]["sentence"] for one in results if one.result.get("best_null_lift")), None)
    return Explained(
        run=run,
        connection=names.get(run.connection_id or ""),
        results=len(results),
        cleared=sum(one.clears is True for one in verdicts),
        best_lift=max(lifts, default=None),
        reasons=tuple(against.most_common(4)),
        best_null=null,
        snoozed=snoozed,
    )


def rerank(place: Workplace) -> int:
    """Judge every newest result by the present bar: to be called when that has changed. How many there were."""
    bar = place.bar
    with place.store.transaction() as tx:
        rows = {one.newest_backtest_id: one for one in hypotheses.every(tx) if one.newest_backtest_id}
        for some in _portions(list(rows)):
            found = backtests.some(tx, some)
            backtests.rerank(tx, [(one, judge(one.result, bar, selected=rows[key].selected).clears) for key, one in found.items()])
    return len(rows)


_meanings: dict[str, Meaning] = {}
MOST_MEANINGS = 20_000


def meaning_of(definition: str | dict[str, Any], fingerprint: str) -> Meaning:
    """What a definition, or its text, is made of. Lists show the same few hundred again and again, and reading one takes longer than showing it."""
    found = _meanings.get(fingerprint)
    if found is None:
        if len(_meanings) >= MOST_MEANINGS:
            _meanings.clear()
        found = _meanings[fingerprint] = _meaning(orjson.loads(definition) if isinstance(definition, str) else definition)
    return found


def _meaning(definition: dict[str, Any]) -> Meaning:
    told = Definition.model_validate(definition)
    unit = "person" if told.unit == "person" else "account"
    return Meaning(told.look_back, int(told.horizon), tuple(sorted(set(_names(definition)))), unit)


def _names(node: Any, named: bool = False) -> Iterator[str]:
    if isinstance(node, str):
        if named:
            yield node
    elif isinstance(node, list):
        for one in node:
            yield from _names(one, named)
    elif isinstance(node, dict):
        for key, value in node.items():
            yield from _names(value, key in NAMED_BY)


def _open(tx: Transaction) -> tuple[Route, ...]:
    return tuple(route for route in routes.every(tx) if route.enabled)


def _queue(tx: Transaction, bar: Bar, wanted: Wanted, found: Page[Hypothesis]) -> Queue:
    known = {one.id: one for one in connections.every(tx)}
    by_verdict = hypothesis_lists.count_by_verdict(tx, wanted)
    return Queue(tuple(_proposals(tx, bar, list(found.data), known)), found.next_after, by_verdict, tuple(known.values()))


def _proposals(tx: Transaction, bar: Bar, rows: list[Hypothesis], known: Mapping[str, Connection]) -> list[Proposal]:
    results = backtests.some(tx, [one.newest_backtest_id for one in rows if one.newest_backtest_id])
    return [_proposal(bar, one, results.get(one.newest_backtest_id or ""), known) for one in rows]


def _proposal(bar: Bar, row: Hypothesis, newest: Backtest | None, known: Mapping[str, Connection]) -> Proposal:
    verdict = None if newest is None else judge(newest.result, bar, selected=row.selected)
    meaning = meaning_of(row.definition, row.fingerprint)
    rate = None if newest is None else weekly(newest.result["fired"], round(newest.window_days * DAY) - meaning.look_back)
    return Proposal(Resource(row, newest, verdict), meaning, known[row.connection_id].name, rate)


def _judged_lift(one: Backtest) -> float | None:
    return (one.result.get("confirmed") or one.result).get("closed", {}).get("lift")


def _portions(ids: list[str], size: int = 500) -> Iterator[list[str]]:
    for start in range(0, len(ids), size):
        yield ids[start : start + size]
