"""Whatever order people, sweeps and workers act in: no illegal move, nothing sent that nobody approved, nothing sent twice."""

from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule, run_state_machine_as_test

from beton.errors import Conflict
from beton.lifecycle import SENDING, TRANSITIONS, Action, Status
from beton.signals import AttemptOutcome, Claim, DeliveryStatus
from beton.store import connections, deliveries, hypotheses, routes, signals
from beton.store.engines import open_engine
from beton.store.migrate import migrate
from beton.store.sealing import Sealer
from beton.store.store import Store
from tests.conftest import Clock
from tests.store.postgres import fast_directory
from tests.store.steps import a_webhook, finding, new_hypothesis

STARTS: st.SearchStrategy[Literal[Status.DRAFT, Status.PROPOSED]] = st.sampled_from((Status.DRAFT, Status.PROPOSED))
DECISIONS = [action for action in Action if action is not Action.REVISE]
UNITS = st.sampled_from([f"p{number}" for number in range(5)])


class Life(RuleBasedStateMachine):
    @initialize(start=STARTS)
    def begin(self, start: Literal[Status.DRAFT, Status.PROPOSED]) -> None:
        self.home = TemporaryDirectory(dir=fast_directory())
        self.clock = Clock()
        engine = open_engine(f"sqlite:///{Path(self.home.name) / 'life.sqlite'}")
        migrate(engine)
        self.store = Store(engine, Sealer({"k1": bytes(range(32))}), self.clock)
        with self.store.transaction() as tx:
            connection = connections.add(tx, name="shop", host="https://x", project_id="1", api_key="k", actor="ada")
            routes.add(tx, name="crm", destination=a_webhook(url="https://y", secret="whsec_y"), actor="ada")
            self.id = hypotheses.add(tx, new_hypothesis(connection, status=start), actor="ada")[0].id
        self.status, self.version, self.row_version = start, 1, 1
        self.ever_approved = False
        self.fired: set[tuple[int, str]] = set()
        self.sent: list[str] = []
        self.claims: list[Claim] = []

    @rule(action=st.sampled_from(DECISIONS), clears=st.sampled_from([True, False, None]), stale=st.booleans())
    def decide(self, action: Action, clears: bool | None, stale: bool) -> None:
        legal = (self.status, action) in TRANSITIONS and not stale and not (action is Action.APPROVE and clears is not True)
        try:
            with self.store.transaction() as tx:
                hypotheses.decide(
                    tx,
                    self.id,
                    action,
                    expected_row_version=self.row_version - stale,
                    actor="ada",
                    reason="no",
                    clears=clears,
                    snoozed_until=tx.now + timedelta(days=1),
                )
        except Conflict:
            assert not legal
            return
        assert legal
        self.status = TRANSITIONS[self.status, action]
        self.row_version += 1
        self.ever_approved |= self.status in SENDING

    @rule()
    def revise(self) -> None:
        try:
            with self.store.transaction() as tx:
                hypotheses.revise(
                    tx,
                    self.id,
                    definition={},
                    fingerprint=f"v{self.row_version}",
                    sentence="Another.",
                    expected_row_version=self.row_version,
                    actor="bob",
                )
        except Conflict:
            assert (self.status, Action.REVISE) not in TRANSITIONS
            return
        self.status = TRANSITIONS[self.status, Action.REVISE]
        self.row_version += 1
        self.version += 1

    @rule(unit=UNITS)
    def sweep(self, unit: str) -> None:
        try:
            with self.store.transaction() as tx:
                fresh = signals.record(tx, self.id, self.version, [finding(unit, tx.now)])
        except Conflict:
            assert self.status not in SENDING
            return
        assert self.status in SENDING
        assert bool(fresh) == ((self.version, unit) not in self.fired)
        self.fired.add((self.version, unit))

    @rule(limit=st.integers(1, 3))
    def claim(self, limit: int) -> None:
        with self.store.transaction() as tx:
            mine = deliveries.claim(tx, limit=limit, lease=timedelta(minutes=1))
        assert not mine or self.status in SENDING
        self.claims += mine

    @precondition(lambda self: self.claims)
    @rule(works=st.booleans(), data=st.data())
    def settle(self, works: bool, data: st.DataObject) -> None:
        claimed = self.claims.pop(data.draw(st.integers(0, len(self.claims) - 1)))
        status = DeliveryStatus.DELIVERED if works else DeliveryStatus.FAILED
        try:
            with self.store.transaction() as tx:
                outcome = AttemptOutcome(status=status, next_attempt_at=None if works else tx.now)
                deliveries.settle(tx, claimed.delivery.id, claimed.lease, outcome)
        except Conflict:
            return
        if works:
            self.sent.append(claimed.delivery.message_id)

    @rule()
    def time_passes(self) -> None:
        self.clock.advance(timedelta(minutes=1))

    @invariant()
    def the_store_agrees(self) -> None:
        with self.store.reading() as tx:
            present = hypotheses.get(tx, self.id)
            waiting = deliveries.listing(tx, limit=500).data
        assert (present.status, present.version, present.row_version) == (self.status, self.version, self.row_version)
        assert len(waiting) == len(self.fired) == present.fired_count
        assert self.ever_approved or not waiting
        assert len(self.sent) == len(set(self.sent))

    def teardown(self) -> None:
        self.store.close()
        self.home.cleanup()


@pytest.mark.parametrize("steps", [25])
def test_any_order_of_deeds_keeps_the_promises(steps: int) -> None:
    checks = [HealthCheck.too_slow, HealthCheck.data_too_large]
    run_state_machine_as_test(Life, settings=settings(max_examples=15, stateful_step_count=steps, deadline=None, suppress_health_check=checks))
