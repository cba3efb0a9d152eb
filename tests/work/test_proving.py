"""Outcomes of live signals, read from a sandbox: each counts as the backtest would have counted it, once it is mature and not before."""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import timedelta

import pytest

from backtest import Hypothesis, Window, plan_reads
from backtest.durations import DAY
from backtest.intervals import FOREVER
from beton.store import outcomes, proof_counts
from beton.store.erasure import erase_unit
from beton.store.outcomes import LATE
from beton.store.tables import SignalRow
from beton.work.becoming import Became, became
from beton.work.proving import Followed, read_outcomes
from beton.work.workplace import instant, microseconds
from tests.backtest.random_logs import FIRST_DAY
from tests.posthog.served_log import ServedLog
from tests.work.workshop import Workshop

APPROVED, END = FIRST_DAY + 8 * DAY, FIRST_DAY + 24 * DAY
TESTED = Window(FIRST_DAY, APPROVED)
Open = Callable[[int], Workshop]
NAMES = {Became.PENDING: "open", Became.BEFORE: "before", Became.CONVERTED: "converted", Became.NOT: "not"}


def hypothesis(clause: Mapping[str, object], outcome: Mapping[str, object] | None = None, **more: object) -> Hypothesis:
    told = outcome or {"kind": "event", "match": "paid", "horizon": "4d"}
    return Hypothesis.model_validate({"entry": "signed_up", "clauses": [clause], "outcome": told} | more)


VIEWS = {"kind": "did", "match": "viewed", "span": {"last": "3d"}}
BATCH = [
    hypothesis(VIEWS),
    hypothesis(VIEWS, {"kind": "event", "match": "invited", "horizon": "2d"}),
    hypothesis(VIEWS, {"kind": "lapse", "match": {"any_event": True}, "after": "2d", "horizon": "6d"}),
    hypothesis({"kind": "did", "match": "shared", "span": {"last": "2d"}}, unit={"group": "company"}, fires_again_after="1d"),
]


def follow(bench: Workshop, at: int) -> Followed:
    bench.clock.now = instant(at) + timedelta(minutes=1)  # what PostHog may not show yet is not asked for
    return asyncio.run(read_outcomes(bench.place, bench.connection))


def counts(bench: Workshop) -> dict[str, dict[str, int]]:
    with bench.place.store.reading() as tx:
        return {version[0]: {name: number for name, number in told.items() if number} for version, told in proof_counts.tally(tx).items()}


def at_hand(one: Hypothesis, fires: list[tuple[str, int]], log: ServedLog, at: int) -> dict[str, int]:
    """How these fires count as of an instant, by the plain assembly and the rules of the score."""
    (plan,) = plan_reads([one], Window(at - DAY, at))
    whole = log.assembled(plan)
    first = {unit: int(came) for unit, came in zip(whole.units, whole.outcome(one), strict=True) if came < FOREVER}
    return Counter(NAMES[became(fired, first.get(unit), int(one.horizon), at)] for unit, fired in fires)


def test_signals_count_as_the_backtest_counts_at_every_reading_with_one_query_each(workshop: Open, log: ServedLog):
    bench = workshop(APPROVED)
    rows = bench.approve(BATCH, TESTED)
    fires: dict[str, list[tuple[str, int]]] = {row.id: [] for row in rows}
    seen: Counter[str] = Counter()
    for at in range(APPROVED + 2 * DAY, END + 12 * DAY, 4 * DAY):
        if at <= END:
            for signal in bench.sweep(at).signals:
                fires[signal.hypothesis_id].append((str(signal.unit_id), microseconds(signal.fired_at)))
        bench.server.post("reset", {})
        told = follow(bench, at)
        assert len(bench.server.queries()) == (1 if told.asked else 0)
        for row, one in zip(rows, BATCH, strict=True):
            assert counts(bench).get(row.id, {}) == at_hand(one, fires[row.id], log, at), (one.outcome, at)
            seen.update(counts(bench).get(row.id, {}))
    assert set(seen) == {"open", "before", "converted", "not"}
    assert follow(bench, END + 42 * DAY) == Followed()  # all is settled


def test_what_cannot_be_asked_at_once_holds_up_what_is_younger(workshop: Open, monkeypatch: pytest.MonkeyPatch):
    """Or the conversions among what was asked would count before the others."""
    bench = workshop(APPROVED)
    (row,) = bench.approve(BATCH[:1], TESTED)
    many = len(bench.sweep(END).signals)
    assert many > 12
    monkeypatch.setattr("beton.work.proving.AT_ONCE", 5)
    judged = 0
    while judged < many:
        told = follow(bench, END + 10 * DAY)
        assert told.asked <= 5
        found = counts(bench)[row.id]
        judged = many - found.get("open", 0)
        assert judged >= 0
        if told.asked == 0:
            break
    whole = counts(bench)[row.id]
    assert "open" not in whole
    assert sum(whole.values()) == many


def test_an_outcome_that_arrives_late_still_counts_and_then_no_more(workshop: Open):
    bench = workshop(APPROVED)
    (row,) = bench.approve(BATCH[:1], TESTED)
    bench.sweep(END)
    follow(bench, END + DAY)
    before, later = counts(bench)[row.id], instant(END + 3 * DAY)
    with bench.place.store.transaction() as tx:
        asked = outcomes.waiting(tx, bench.connection.id, later, most=500)
        known = outcomes.of_signals(tx, [one.id for one in asked])
        late = next(one for one in asked if known[one.id][0] == "not")
        outcomes.learn(tx, {late.id: late.fired_at + timedelta(days=1)}, later)
        outcomes.judge(tx, late.version, instant(END + DAY))
    after = counts(bench)[row.id]
    assert after["converted"] == before["converted"] + 1
    assert after["not"] == before["not"] - 1
    follow(bench, END + 4 * DAY + int(LATE / timedelta(microseconds=1)) + DAY)
    with bench.place.store.reading() as tx:
        assert outcomes.waiting(tx, bench.connection.id, instant(END + 90 * DAY), most=500) == []


def test_an_erased_unit_is_asked_about_no_more_and_what_was_judged_stays(workshop: Open):
    bench = workshop(APPROVED)
    (row,) = bench.approve(BATCH[:1], TESTED)
    signals = sorted(bench.sweep(END).signals, key=lambda one: one.fired_at)
    follow(bench, END)
    before = counts(bench)[row.id]
    with bench.place.store.transaction() as tx:
        for one in (signals[0], signals[-1]):
            erase_unit(tx, bench.connection.id, "person", str(one.unit_id), actor="ada")
    assert follow(bench, END + 10 * DAY).lost >= 1
    after = counts(bench)[row.id]
    assert after["lost"] == 1  # the young one: of the old one it is known what became of it
    assert sum(after.values()) == sum(before.values())


def test_of_two_signals_about_one_person_the_first_counts(workshop: Open):
    bench = workshop(APPROVED)
    (row,) = bench.approve(BATCH[:1], TESTED)
    first, second, *_ = bench.sweep(END).signals
    follow(bench, END)
    with bench.place.store.transaction() as tx:
        tx.session.get_one(SignalRow, second.id).merged_into = first.id
    assert follow(bench, END + DAY).lost == 1
    assert follow(bench, END + 2 * DAY).lost == 0
    assert counts(bench)[row.id]["lost"] == 1
