"""Months of live signals with known truth, through the store: what the scoreboard says is right as often as it claims to be."""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa
from sqlmodel import col

from backtest import Hypothesis as Definition
from backtest.proportions import wilson
from backtest.sentence import sentence
from beton.lifecycle import Status
from beton.settings import Settings
from beton.signals import Finding
from beton.store import alarms, audit, backtests, connections, holdouts, hypotheses, notices, outcomes, routes, runs, signals
from beton.store.delivery_tables import NoticeRow
from beton.store.records import Connection, Hypothesis, NewBacktest, NewHypothesis
from beton.store.store import Store
from beton.work import drifting
from beton.work.deciding import decide
from beton.work.scoreboard import Line, line, scoreboard
from beton.work.workplace import Workplace
from tests.conftest import Clock
from tests.store.steps import a_webhook
from tests.web.steps import result

HORIZON = timedelta(days=14)
WEEK = timedelta(days=7)


@dataclass
class Months:
    """A workplace whose clock is moved week by week; every hypothesis has fires of its own, with a conversion rate that is known."""

    place: Workplace
    clock: Clock
    connection: Connection
    dice: np.random.Generator
    number: int = 0

    @property
    def store(self) -> Store:
        return self.place.store

    def approve(self, hits: int, fires: int, *, share: float = 0.0) -> Hypothesis:
        """A hypothesis that was approved on so many hits of so many fires."""
        self.number += 1
        did = {"kind": "did", "match": f"event {self.number}", "span": {"last": "7d"}}
        told = Definition.model_validate({"clauses": [did], "outcome": {"kind": "event", "match": "paid", "horizon": "14d"}})
        new = NewHypothesis(
            connection_id=self.connection.id, name=f"h{self.number}", fingerprint=told.fingerprint, definition=told.canonical().to_json(),
            sentence=sentence(told), type="converts", source="person", selected=False,
        )  # fmt: skip
        with self.store.transaction() as tx:
            row = hypotheses.add(tx, new, actor="ada")[0]
            run = runs.queue(tx, "backtest", connection_id=self.connection.id)
            result = promised(hits, fires)
            backtest = NewBacktest(
                hypothesis_id=row.id, hypothesis_version=1, run_id=run.id, as_of=tx.now, window_days=90, fingerprint=row.fingerprint,
                result=result, clears=True,
            )  # fmt: skip
            backtests.record(tx, [backtest])
        decide(self.place, row.id, hypotheses.Action.APPROVE, actor="ada", override_reason="a test")
        if share:
            with self.store.transaction() as tx:
                holdouts.choose(tx, row.id, share, actor="ada")
        with self.store.reading() as tx:
            return hypotheses.get(tx, row.id)

    def week(self, one: Hypothesis, many: int, rate: float, adds: float = 0.0) -> None:
        """New units fire; those that will convert do so within the horizon, more of them where sales was told."""
        with self.store.transaction() as tx:
            found = [
                Finding(unit_kind="person", unit_id=f"{one.id}-{self.clock.now:%j}-{n}", fired_at=tx.now - timedelta(hours=n)) for n in range(many)
            ]
            made = signals.record(tx, one.id, one.version, found)
        for signal in made:
            hit = self.dice.random() < rate + (0.0 if signal.held_because else adds)
            late = timedelta(seconds=float(self.dice.uniform(1, HORIZON.total_seconds())))
            self.will[signal.id] = signal.fired_at + late if hit else None

    def read(self, one: Hypothesis) -> None:
        """What a reading of PostHog would bring."""
        version = (one.id, one.version)
        with self.store.transaction() as tx:
            outcomes.expect(tx, version, HORIZON)
            asked = [each for each in outcomes.waiting(tx, self.connection.id, tx.now, most=100_000) if each.version == version]
            came = {each.id: at for each in asked if (at := self.will[each.id]) is not None and at < tx.now}
            outcomes.learn(tx, {each.id: came.get(each.id) for each in asked}, tx.now)
            outcomes.judge(tx, version, tx.now)

    def __post_init__(self) -> None:
        self.will: dict[str, Any] = {}


def promised(hits: int, fires: int) -> dict[str, Any]:
    told = wilson(hits, fires)
    assert told is not None
    own = {"precision": hits / fires, "precision_low": told.low, "precision_high": told.high, "sample_size": fires}
    return result() | own | {"counts": {"sample_size": fires, "true_positives": hits}}


@pytest.fixture
def months(store: Store, clock: Clock, tmp_path: Path) -> Months:
    with store.transaction() as tx:
        connection = connections.add(tx, name="shop", host="https://eu.posthog.com", project_id="17", api_key="phx_canary", actor="ada")
    return Months(Workplace(Settings(data_dir=tmp_path), store, clock), clock, connection, np.random.default_rng(12))


def of(months: Months, one: Hypothesis) -> Line:
    return line(months.place, one.id)


def test_realised_precision_covers_the_truth_in_simulated_deployments(months: Months):
    """Sixteen hypotheses over three months, each as precise live as in its backtest."""
    rates = months.dice.uniform(0.1, 0.6, 16)
    live = [months.approve(int(months.dice.binomial(300, rate)), 300) for rate in rates]
    for _ in range(6):
        for one, rate in zip(live, rates, strict=True):
            months.week(one, 20, rate)
        months.clock.advance(2 * WEEK)
    for one in live:
        months.read(one)
    lines = scoreboard(months.place).lines
    truth = {one.id: rate for one, rate in zip(live, rates, strict=True)}
    assert all((told.realised.matured, told.realised.too_early) == (120, 0) for told in lines)
    once = [told.realised.interval for told in lines if told.realised.interval]
    always = [told.realised.at_any_look for told in lines if told.realised.at_any_look]
    in_order = [truth[told.hypothesis.id] for told in lines]
    assert sum(one.low <= rate <= one.high for one, rate in zip(once, in_order, strict=True)) >= 13
    assert sum(one.low <= rate <= one.high for one, rate in zip(always, in_order, strict=True)) >= 15
    assert not [told for told in lines if told.verdict == "below"]
    assert scoreboard(months.place).total.matured == 16 * 120


def test_those_that_keep_their_promise_raise_hardly_an_alarm_and_those_that_drift_do(months: Months):
    """Nine hypotheses watched again and again for five months; a third fall by half after the first."""
    live = [months.approve(150, 300) for _ in range(9)]
    drifted = {one.id for one in live[:3]}
    for fortnight in range(10):
        for one in live:
            months.week(one, 20, 0.2 if one.id in drifted and fortnight >= 2 else 0.5)
        months.clock.advance(2 * WEEK + timedelta(days=3))
        for one in live:
            months.read(one)
        drifting.watch(months.place)
    with months.store.reading() as tx:
        called = {one.hypothesis_id for one in alarms.alarms(tx)}
    assert drifted <= called
    assert len(called - drifted) <= 1  # a false discovery rate of 5 %


def test_what_sending_adds_is_found_where_it_is_there_and_only_there(months: Months):
    helped, idle = (months.approve(60, 300, share=0.2) for _ in range(2))
    for _ in range(9):
        months.week(helped, 130, 0.15, adds=0.25)
        months.week(idle, 130, 0.15)
        months.clock.advance(2 * WEEK + timedelta(days=6))
        for one in (helped, idle):
            months.read(one)
        told, other = of(months, helped).incremental, of(months, idle).incremental
        assert told.interval is None or told.interval.low <= 0.25 <= told.interval.high
        assert other.interval is None or other.interval.low <= 0 <= other.interval.high
    assert told.verdict == "adds"
    assert told.why is None
    assert told.extra == pytest.approx(0.25 * told.arms.routed, rel=0.3)
    assert other.verdict == "cannot_tell"
    assert "may still be chance" in str(other.why)
    assert other.needs is not None
    assert other.held == pytest.approx(234, abs=60)


def test_drift_is_judged_on_those_held_out_where_there_are_any(months: Months):
    """Sales makes up for a signal that tells nothing any more: all signals together look as promised."""
    one = months.approve(90, 300, share=0.2)
    for _ in range(16):
        months.week(one, 60, 0.08, adds=0.25)
        months.clock.advance(WEEK)
        months.read(one)
    (alarm,) = drifting.watch(months.place)
    assert alarm.basis == "holdout"
    assert alarm.hits / alarm.fires < 0.2
    assert of(months, one).realised.precision == pytest.approx(0.28, abs=0.05)


@pytest.mark.parametrize(
    ("action", "status", "answer"), [("alarm", Status.APPROVED, None), ("ask", Status.APPROVED, None), ("pause", Status.PAUSED, "paused")]
)
def test_a_drift_does_what_the_workspace_has_chosen_once_and_tells(months: Months, action: Any, status: Status, answer: str | None):
    with months.store.transaction() as tx:
        routes.add(tx, name="ops", destination=a_webhook(url="https://ops.example.com/x", secret="whsec_canaryCANARY"), actor="ada", notices=True)
    drifting.choose_action(months.place, action, actor="ada")
    one = months.approve(150, 300)
    for _ in range(8):
        months.week(one, 20, 0.1)
        months.clock.advance(WEEK)
    months.read(one)
    assert len(drifting.watch(months.place)) == 1
    assert drifting.watch(months.place) == []
    with months.store.reading() as tx:
        (alarm,) = alarms.alarms(tx, hypothesis_id=one.id)
        assert (hypotheses.get(tx, one.id).status, alarm.answer) == (status, answer)
        told = [notices.get(tx, row.id) for row in tx.session.execute(sa.select(NoticeRow).order_by(col(NoticeRow.at))).scalars()]
        assert [each.action for each in told][1:] == (["pause"] if action == "pause" else ["drift"])
        assert {"hypothesis.drift"} <= {each.action for each in audit.entries(tx, object_id=one.id)}


def test_what_is_kept_is_watched_anew_from_later_fires_on(months: Months):
    one = months.approve(150, 300)
    for _ in range(8):
        months.week(one, 20, 0.1)
        months.clock.advance(WEEK)
    months.read(one)
    (alarm,) = drifting.watch(months.place)
    drifting.answer(months.place, alarm.id, "kept", actor="ada", comment="a holiday")
    assert drifting.watch(months.place) == []
    for _ in range(10):
        months.week(one, 20, 0.5)
        months.clock.advance(WEEK)
        months.read(one)
        assert drifting.watch(months.place) == []
    for _ in range(10):
        months.week(one, 20, 0.05)
        months.clock.advance(WEEK)
        months.read(one)
    assert [each.hypothesis_id for each in drifting.watch(months.place)] == [one.id]


def test_without_a_promise_nothing_is_watched_and_it_says_why(months: Months):
    one = months.approve(150, 300)
    with months.store.transaction() as tx:
        hypotheses.decide(tx, one.id, hypotheses.Action.PAUSE, expected_row_version=one.row_version, actor="ada")
    assert drifting.standings(months.place) == []
    quiet = months.approve(0, 300)
    (told,) = drifting.standings(months.place)
    assert told.hypothesis.id == quiet.id
    assert told.why is not None
    assert of(months, quiet).verdict == "cannot_tell"
