import threading
from datetime import timedelta

import pytest

from beton.errors import BadInput, Conflict, IllegalTransition, NotFound, StaleVersion
from beton.lifecycle import Action, Status
from beton.store import audit, hypotheses, hypothesis_lists
from beton.store.records import Connection, Hypothesis
from beton.store.store import Store
from tests.conftest import Clock
from tests.store.steps import approved, decide, new_hypothesis, proposed


def test_the_same_fingerprint_is_the_same_hypothesis(store: Store, connection: Connection) -> None:
    with store.transaction() as tx:
        first, is_new = hypotheses.add(tx, new_hypothesis(connection), actor="search")
        again, is_new_again = hypotheses.add(tx, new_hypothesis(connection), actor="agent")
    assert (is_new, is_new_again) == (True, False)
    assert again == first
    assert first.id.startswith("hyp_")


def test_an_approval_is_dated_signed_and_frozen(store: Store, connection: Connection, clock: Clock) -> None:
    hypothesis = proposed(store, connection)
    clock.advance(timedelta(hours=1))
    live = decide(store, hypothesis, Action.APPROVE, clears=True, live_from=clock.now - timedelta(days=1))
    assert (live.status, live.decided_by, live.decided_at, live.live_since) == (Status.APPROVED, "ada", clock.now, clock.now)
    assert live.live_from == clock.now - timedelta(days=1)
    assert live.row_version == hypothesis.row_version + 1
    with store.reading() as tx:
        assert hypotheses.get(tx, live.id) == live


@pytest.mark.parametrize("clears", [False, None])
def test_an_approval_below_the_bar_keeps_its_reason(store: Store, connection: Connection, clears: bool | None) -> None:
    hypothesis = proposed(store, connection)
    with pytest.raises(Conflict, match="bar"):
        decide(store, hypothesis, Action.APPROVE, clears=clears)
    live = decide(store, hypothesis, Action.APPROVE, clears=clears, override_reason="We know these accounts")
    assert live.override_reason == "We know these accounts"
    with store.reading() as tx:
        newest = audit.entries(tx, object_id=hypothesis.id)[0]
    assert (newest.action, newest.actor) == ("hypothesis.approve", "ada")
    assert newest.before == {"status": "proposed", "row_version": 1}
    assert newest.after is not None
    assert newest.after["override_reason"] == "We know these accounts"


def test_whoever_comes_second_is_told(store: Store, connection: Connection) -> None:
    seen = proposed(store, connection)
    decide(store, seen, Action.REJECT, reason="already known")
    with pytest.raises(StaleVersion) as refused:
        decide(store, seen, Action.APPROVE, clears=True)
    assert refused.value.status == 409
    with store.reading() as tx:
        assert hypotheses.get(tx, seen.id).status is Status.REJECTED


def test_of_many_who_decide_at_once_exactly_one_does(store: Store, connection: Connection) -> None:
    seen = proposed(store, connection)
    outcomes: list[str] = []
    together = threading.Barrier(6)

    def decide_together(action: Action) -> None:
        together.wait()
        try:
            decide(store, seen, action, clears=True, reason="too few")
            outcomes.append("decided")
        except Conflict as refused:
            outcomes.append(refused.code)

    threads = [threading.Thread(target=decide_together, args=(action,)) for action in [Action.APPROVE, Action.REJECT] * 3]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["conflict.stale_version"] * 5 + ["decided"]
    with store.reading() as tx:
        assert len(audit.entries(tx, object_id=seen.id)) == 2


def test_an_illegal_action_changes_nothing(store: Store, connection: Connection) -> None:
    hypothesis = proposed(store, connection)
    with pytest.raises(IllegalTransition):
        decide(store, hypothesis, Action.RESUME)
    with store.reading() as tx:
        assert hypotheses.get(tx, hypothesis.id) == hypothesis
        assert len(audit.entries(tx, object_id=hypothesis.id)) == 1


def test_a_rejection_needs_a_reason_and_a_snooze_a_future_date(store: Store, connection: Connection, clock: Clock) -> None:
    hypothesis = proposed(store, connection)
    with pytest.raises(BadInput, match="reason"):
        decide(store, hypothesis, Action.REJECT)
    with pytest.raises(BadInput, match="future"):
        decide(store, hypothesis, Action.SNOOZE, snoozed_until=clock.now)


def test_a_snoozed_hypothesis_wakes_on_its_date(store: Store, connection: Connection, clock: Clock) -> None:
    hypothesis = decide(store, proposed(store, connection), Action.SNOOZE, snoozed_until=clock.now + timedelta(days=7))
    with store.transaction() as tx:
        assert hypotheses.wake_due(tx) == []
    clock.advance(timedelta(days=7))
    with store.transaction() as tx:
        (woken,) = hypotheses.wake_due(tx)
    assert (woken.id, woken.status, woken.snoozed_until) == (hypothesis.id, Status.PROPOSED, None)


def revised(store: Store, hypothesis: Hypothesis, fingerprint: str) -> Hypothesis:
    with store.transaction() as tx:
        return hypotheses.revise(
            tx,
            hypothesis.id,
            definition={"clauses": []},
            fingerprint=fingerprint,
            sentence="Invites two.",
            expected_row_version=hypothesis.row_version,
            actor="bob",
        )


def test_a_revision_is_a_new_version_without_approval(store: Store, connection: Connection) -> None:
    live = approved(store, connection)
    with pytest.raises(IllegalTransition):
        revised(store, live, "f2")
    version_two = revised(store, decide(store, live, Action.PAUSE), "f2")
    assert (version_two.version, version_two.status, version_two.selected) == (2, Status.PROPOSED, True)
    assert (version_two.live_from, version_two.override_reason) == (None, None)
    with store.reading() as tx:
        said = [hypotheses.version(tx, live.id, number).sentence for number in (1, 2)]
        with pytest.raises(NotFound):
            hypotheses.version(tx, live.id, 3)
    assert said == ["Invites somebody within 7 days.", "Invites two."]


def test_a_revision_into_another_hypothesis_is_refused(store: Store, connection: Connection) -> None:
    first, second = proposed(store, connection, "f1"), proposed(store, connection, "f2")
    with pytest.raises(Conflict, match=first.id):
        revised(store, second, "f1")


def test_listings_turn_pages_without_loss_or_repetition(store: Store, connection: Connection, clock: Clock) -> None:
    made = []
    for number in range(7):
        made.append(proposed(store, connection, f"f{number}").id)
        clock.advance(timedelta(seconds=number % 2))  # some share an instant
    seen: list[str] = []
    after: str | None = None
    with store.reading() as tx:
        while True:
            page = hypotheses.listing(tx, connection_id=connection.id, limit=3, after=after)
            seen += [hypothesis.id for hypothesis in page.data]
            after = page.next_after
            if after is None:
                break
        assert sorted(seen) == sorted(made)
        assert hypothesis_lists.count_by_status(tx)[Status.PROPOSED] == 7
        assert hypothesis_lists.count_by_status(tx)[Status.APPROVED] == 0
        with pytest.raises(NotFound):
            hypotheses.listing(tx, after="hyp_nowhere")


def test_instants_come_back_aware_and_to_the_microsecond(store: Store, connection: Connection, clock: Clock) -> None:
    with store.reading() as tx:
        created = hypotheses.get(tx, proposed(store, connection).id).created_at
    assert created == clock.now
    assert created.utcoffset() == timedelta(0)
    assert created.microsecond == 123456
