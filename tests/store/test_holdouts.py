"""The draw: a share of the accounts, for good, shown to nobody, and only among those that would be sent."""

import math
from datetime import timedelta

import pytest

from backtest.breakage import Break
from beton.errors import BadInput, NotFound
from beton.lifecycle import Action
from beton.signals import Account, Signal
from beton.store import alarms, audit, connections, deliveries, holdouts, hypotheses, outcomes, reach, signals
from beton.store.records import Connection, Hypothesis, Route
from beton.store.signals import record
from beton.store.store import Store
from tests.conftest import Clock
from tests.store.steps import approved, decide, finding


def fire(store: Store, one: Hypothesis, units: range, company: bool = False, occurrence: int = 1) -> list[Signal]:
    """One signal each; of a company with three persons each, where asked."""
    with store.transaction() as tx:
        found = [finding(f"p{number}", tx.now - timedelta(minutes=number), occurrence) for number in units]
        if company:
            found = [each.model_copy(update={"account": Account(key=f"c{number // 3}")}) for number, each in zip(units, found, strict=True)]
        return record(tx, one.id, one.version, found)


def hold(store: Store, one: Hypothesis, share: float) -> None:
    with store.transaction() as tx:
        holdouts.choose(tx, one.id, share, actor="ada")


def out(found: list[Signal]) -> set[str]:
    return {str(one.unit_id) for one in found if one.held_because == "holdout"}


@pytest.fixture
def live(store: Store, connection: Connection) -> Hypothesis:
    return approved(store, connection)


def test_nobody_is_held_out_unless_a_share_was_chosen(store: Store, live: Hypothesis, route: Route):
    assert out(fire(store, live, range(40))) == set()


def test_a_share_is_written_down_without_a_delivery_and_the_rest_is_sent(store: Store, live: Hypothesis, route: Route):
    hold(store, live, 0.2)
    found = fire(store, live, range(400))
    held = out(found)
    assert len(held) == pytest.approx(80, abs=4 * math.sqrt(400 * 0.16))
    with store.reading() as tx:
        sent = deliveries.of_signals(tx, [one.id for one in found])
        assert {str(one.unit_id) for one in found if not sent[one.id]} == held
        assert holdouts.sizes(tx, holdouts.of(tx, live.id), live.version) == (400 - len(held), len(held))


def test_they_are_in_no_list_but_the_one_that_asks_for_them(store: Store, live: Hypothesis, route: Route, clock: Clock):
    hold(store, live, 0.2)
    found = fire(store, live, range(60))
    clock.advance(timedelta(minutes=1))
    held = out(found)
    assert held
    with store.reading() as tx:
        assert not out(list(signals.listing(tx, limit=200).data))
        assert not out(signals.feed(tx, limit=200))
        assert out(list(signals.listing(tx, limit=200, held_out=True).data)) == held
        one = next(one for one in found if str(one.unit_id) in held)
        with pytest.raises(NotFound):
            signals.of_key(tx, str(signals.key_of(tx, one)))
        assert signals.get(tx, one.id).held_because == "holdout"


def test_accounts_are_drawn_whole_where_they_are_known(store: Store, live: Hypothesis, route: Route):
    hold(store, live, 0.2)
    held = out(fire(store, live, range(150), company=True))
    assert held
    companies = {int(unit[1:]) // 3 for unit in held}
    assert len(held) == 3 * len(companies)
    with store.reading() as tx:
        assert sum(holdouts.sizes(tx, holdouts.of(tx, live.id), live.version)) == 50


def test_a_unit_keeps_its_place_when_it_fires_again_and_under_another_share(store: Store, live: Hypothesis, route: Route):
    hold(store, live, 0.1)
    held = out(fire(store, live, range(200)))
    assert out(fire(store, live, range(200), occurrence=2)) == held
    hold(store, live, 0.2)
    assert out(fire(store, live, range(200), occurrence=3)) == held
    more = out(fire(store, live, range(200, 500)))
    with store.reading() as tx:
        present = holdouts.of(tx, live.id)
        assert (present.share, present.draw) == (0.2, 2)
        assert holdouts.sizes(tx, present, live.version) == (300 - len(more), len(more))  # those of the first draw are counted by themselves
    hold(store, live, 0.0)
    assert out(fire(store, live, range(200), occurrence=4)) == set()


def test_what_is_held_for_another_reason_is_not_drawn(store: Store, live: Hypothesis, route: Route):
    hold(store, live, 0.2)
    with store.transaction() as tx:
        reach.suppress(tx, "customers", [reach.Entry("id", f"p{number}") for number in range(100)], actor="ada")
    fire(store, live, range(100))
    with store.reading() as tx:
        assert holdouts.sizes(tx, holdouts.of(tx, live.id), live.version) == (0, 0)


def test_too_large_a_share_is_refused_and_each_choice_is_audited(store: Store, live: Hypothesis):
    with pytest.raises(BadInput, match="That many"):
        hold(store, live, 0.25)
    with pytest.raises(NotFound), store.transaction() as tx:
        holdouts.choose(tx, "hyp_no", 0.1, actor="ada")
    hold(store, live, 0.1)
    hold(store, live, 0.1)
    with store.reading() as tx:
        told = [one for one in audit.entries(tx, object_id=live.id) if one.action == "holdout.choose"]
    assert [(one.actor, one.before, one.after) for one in told] == [("ada", {"share": 0.0}, {"share": 0.1, "draw": 1})]


def test_a_draw_knows_what_became_of_its_accounts_in_the_order_of_their_fires(store: Store, live: Hypothesis, route: Route, clock: Clock):
    hold(store, live, 0.2)
    found = fire(store, live, range(30))
    clock.advance(timedelta(days=20))
    version = (live.id, live.version)
    with store.transaction() as tx:
        outcomes.expect(tx, version, timedelta(days=14))
        came = {one.id: (one.fired_at + timedelta(days=1) if number % 3 == 0 else None) for number, one in enumerate(found)}
        outcomes.learn(tx, came, tx.now)
        outcomes.judge(tx, version, tx.now)
    with store.reading() as tx:
        drawn = holdouts.drawn(tx, holdouts.of(tx, live.id), live.version)
        again = outcomes.ended(tx, version, until=tx.now + timedelta(days=9), held_only=True)
    by_time = sorted(found, key=lambda one: one.fired_at)
    assert [one.held for one in drawn] == [one.held_because == "holdout" for one in by_time]
    assert [one.became == "converted" for one in drawn] == [came[one.id] is not None for one in by_time]
    assert [one.fired_at for one in again] == [one.fired_at for one in by_time if one.held_because]


def test_another_version_is_another_draw(store: Store, live: Hypothesis, route: Route):
    hold(store, live, 0.2)
    first = out(fire(store, live, range(200)))
    paused = decide(store, live, Action.PAUSE)
    with store.transaction() as tx:
        revised = hypotheses.revise(
            tx, live.id, definition={"clauses": []}, fingerprint="f2", sentence="Other.", expected_row_version=paused.row_version, actor="ada"
        )
    again = decide(store, revised, Action.APPROVE, clears=True)
    second = out(fire(store, again, range(200)))
    assert second
    assert second != first


def test_all_of_it_goes_with_its_connection(store: Store, live: Hypothesis, connection: Connection, route: Route):
    hold(store, live, 0.2)
    fire(store, live, range(20))
    with store.transaction() as tx:
        outcomes.expect(tx, (live.id, live.version), timedelta(days=14))
        alarms.raise_alarm(tx, hypotheses.get(tx, live.id), "ask", basis="all", floor=0.3, fires=9, hits=0, log_e=4.0, last_fired_at=tx.now)
        alarms.note_breaks(tx, hypotheses.get(tx, live.id), [Break("event_gone", "invited")])
        connections.remove(tx, connection.id, actor="ada", force=True)
    with store.reading() as tx:
        assert holdouts.every(tx) == {}
        assert alarms.alarms(tx) == alarms.broken_names(tx) == []
