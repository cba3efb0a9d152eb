"""Whom signals reach: lists, snoozes, cooldowns, filters, turns, escalations, and the stop of everything."""

import threading
from datetime import timedelta

import pytest

from beton.errors import NotFound
from beton.roles import Role
from beton.signals import Account, Finding, Signal
from beton.store import audit, deliveries, erasure, escalating, following, holding, members, reach, routes, send_limits, signals, workspaces
from beton.store.directing import whose_turn
from beton.store.reach import Entry
from beton.store.records import Connection, Hypothesis, Route
from beton.store.route_rules import Cooldown, Owners, Passes, Rules, Turn
from beton.store.store import Store
from tests.conftest import Clock
from tests.store.steps import a_webhook, approved, every_text

ACME = Account(key="acme-1", name="canary Acme", domain="acme.com")


@pytest.fixture
def live(store: Store, connection: Connection, route: Route) -> Hypothesis:
    del route
    return approved(store, connection)


def fire(store: Store, live: Hypothesis, clock: Clock, unit: str, **more) -> Signal:
    """One signal that fires now."""
    one = Finding(unit_kind="person", unit_id=unit, fired_at=clock.now, confidence=more.pop("confidence", 0.4), **more)
    with store.transaction() as tx:
        return signals.record(tx, live.id, 1, [one])[0]


def waiting(store: Store, signal: Signal) -> list[str]:
    """Routes that the signal goes along, by name."""
    with store.reading() as tx:
        names = {one.id: one.name for one in routes.every(tx)}
        return sorted(names[one.route_id] for one in deliveries.of_signals(tx, [signal.id])[signal.id])


@pytest.mark.parametrize(
    ("entry", "held"),
    [
        (Entry("id", "p1"), True),
        (Entry("id", "acme-1"), True),
        (Entry("domain", "acme.com"), True),
        (Entry("email", "ann@acme.com"), True),
        (Entry("id", "p2"), False),
        (Entry("domain", "other.com"), False),
        (Entry("domain", "p1"), False),
    ],
)
def test_whoever_is_on_a_list_gets_a_signal_that_goes_nowhere(store: Store, live: Hypothesis, clock: Clock, entry: Entry, held: bool) -> None:
    with store.transaction() as tx:
        assert reach.suppress(tx, "competitors", [entry, entry], actor="ada") == 1
        assert reach.suppress(tx, "competitors", [entry], actor="ada") == 0
    one = fire(store, live, clock, "p1", account=ACME, email="Ann@acme.com")
    assert one.held_because == ("competitors" if held else None)
    assert waiting(store, one) == ([] if held else ["crm"])
    with store.reading() as tx:
        assert signals.get(tx, one.id).held_because == one.held_because


def test_lists_are_read_narrowed_and_emptied_and_name_nobody_to_who_has_the_database(store: Store, live: Hypothesis) -> None:
    del live
    with store.transaction() as tx:
        reach.suppress(tx, "customers", [Entry("domain", "canary-one.com"), Entry("email", "canary@two.com")], actor="ada")
        reach.suppress(tx, "internal", [Entry("id", "canary-three")], actor="ada")
        assert reach.suppressed_counts(tx) == {"customers": 2, "internal": 1}
        assert {one.label for one in reach.suppressed(tx, name="customers").data} == {"canary-one.com", "canary@two.com"}
    assert "canary-" not in every_text(store)
    with store.transaction() as tx:
        (line,) = reach.suppressed(tx, name="internal").data
        reach.unsuppress(tx, line.id, actor="ada")
        assert reach.clear(tx, "customers", actor="ada") == 2
        assert reach.suppressed(tx).data == ()
        with pytest.raises(NotFound):
            reach.unsuppress(tx, line.id, actor="ada")
        assert [one.action for one in audit.entries(tx, limit=3)] == ["suppression.clear", "suppression.remove", "suppression.add"]


def test_a_snooze_holds_until_its_date(store: Store, live: Hypothesis, clock: Clock) -> None:
    with store.transaction() as tx:
        reach.snooze(tx, Entry("domain", "acme.com"), clock.now + timedelta(days=1), actor="ada", reason="holidays")
        later = reach.snooze(tx, Entry("domain", "acme.com"), clock.now + timedelta(days=2), actor="ada")
        assert [one.until for one in reach.snoozes(tx)] == [clock.now + timedelta(days=2)]
    assert fire(store, live, clock, "p1", account=ACME).held_because == "snoozed"
    clock.advance(timedelta(days=2))
    assert fire(store, live, clock, "p2", account=ACME).held_because is None
    with store.transaction() as tx:
        assert reach.snoozes(tx) == []
        assert reach.drop_ended(tx) == 1
        with pytest.raises(NotFound):
            reach.wake(tx, later.id, actor="ada")


def choose(store: Store, cooldown: Cooldown) -> None:
    with store.transaction() as tx:
        workspaces.choose(tx, holding.COOLDOWN, cooldown.model_dump(), actor="ada")


def test_a_unit_comes_up_again_only_after_its_cooldown_whatever_the_hypothesis(
    store: Store, connection: Connection, live: Hypothesis, clock: Clock
) -> None:
    other = approved(store, connection, "f2")
    choose(store, Cooldown(unit_days=7))
    assert fire(store, live, clock, "p1").held_because is None
    clock.advance(timedelta(days=6, hours=23))
    assert fire(store, other, clock, "p1").held_because == "unit_cooldown"
    assert fire(store, other, clock, "p2").held_because is None, "somebody else"
    clock.advance(timedelta(hours=1))
    with store.transaction() as tx:
        again = Finding(unit_kind="person", unit_id="p1", fired_at=clock.now, occurrence=2)
        (one,) = signals.record(tx, live.id, 1, [again])
    assert one.held_because is None, "what was held does not prolong it"


def test_an_account_comes_up_once_even_within_one_sweep_and_the_earliest_goes(store: Store, live: Hypothesis, clock: Clock) -> None:
    choose(store, Cooldown(account_days=7))
    found = [
        Finding(unit_kind="person", unit_id=f"p{number}", fired_at=clock.now - timedelta(minutes=number), account=ACME) for number in range(3)
    ] + [Finding(unit_kind="person", unit_id="alone", fired_at=clock.now)]
    with store.transaction() as tx:
        held = {one.unit_id: one.held_because for one in signals.record(tx, live.id, 1, found)}
    assert held == {"p0": "account_cooldown", "p1": "account_cooldown", "p2": None, "alone": None}


def test_a_day_has_its_number_and_the_next_day_begins_anew(store: Store, live: Hypothesis, clock: Clock) -> None:
    choose(store, Cooldown(per_day=2))
    assert [fire(store, live, clock, f"p{number}").held_because for number in range(4)] == [None, None, "daily_limit", "daily_limit"]
    clock.advance(timedelta(hours=24))
    assert fire(store, live, clock, "p9").held_because is None


def test_two_sweeps_at_once_do_not_both_send_about_one_account(store: Store, connection: Connection, live: Hypothesis, clock: Clock) -> None:
    rows = [live, approved(store, connection, "f2"), approved(store, connection, "f3")]
    choose(store, Cooldown(account_days=7))
    together, held = threading.Barrier(3), []

    def work(row: Hypothesis) -> None:
        together.wait()
        held.append(fire(store, row, clock, f"p-{row.id}", account=ACME).held_because)

    threads = [threading.Thread(target=work, args=(row,)) for row in rows]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(map(str, held)) == ["None", "account_cooldown", "account_cooldown"]


def add(store: Store, name: str, rules: Rules) -> Route:
    with store.transaction() as tx:
        return routes.add(tx, name=name, destination=a_webhook(url="https://x.example/1", secret="whsec_x"), actor="ada", rules=rules)


@pytest.mark.parametrize(
    ("passes", "takes"),
    [
        (Passes(), True),
        (Passes(types=("pql",)), True),
        (Passes(types=("churn_risk", "trial")), False),
        (Passes(min_confidence=0.4), True),
        (Passes(min_confidence=0.41), False),
        (Passes(unit_kinds=("account",)), False),
        (Passes(cohort="17"), True),
        (Passes(cohort="18"), False),
        (Passes(hypotheses=("hyp_other",)), False),
    ],
)
def test_a_route_takes_what_its_filter_lets_through_and_the_signal_says_who_did_not(
    store: Store, live: Hypothesis, clock: Clock, passes: Passes, takes: bool
) -> None:
    other = add(store, "other", Rules(passes=passes))
    one = fire(store, live, clock, "p1", segments=frozenset({"17"}))
    assert waiting(store, one) == (["crm", "other"] if takes else ["crm"])
    assert one.passed_over == (None if takes else {other.id: "filter"})


def test_a_filter_for_a_confidence_lets_nothing_through_that_has_none(store: Store, live: Hypothesis, clock: Clock) -> None:
    add(store, "sure", Rules(passes=Passes(min_confidence=0.0)))
    assert waiting(store, fire(store, live, clock, "p1", confidence=None)) == ["crm"]


def test_a_route_s_own_cooldown_counts_what_went_along_it(store: Store, connection: Connection, live: Hypothesis, clock: Clock) -> None:
    other = approved(store, connection, "f2")
    rare = add(store, "rare", Rules(passes=Passes(hypotheses=(other.id,)), cooldown=Cooldown(unit_days=7)))
    fire(store, live, clock, "p1")
    assert waiting(store, fire(store, other, clock, "p1")) == ["crm", "rare"], "the first along this route"
    with store.transaction() as tx:
        (one,) = signals.record(tx, other.id, 1, [Finding(unit_kind="person", unit_id="p1", fired_at=clock.now, occurrence=2)])
    assert (one.passed_over, waiting(store, one)) == ({rare.id: "unit_cooldown"}, ["crm"])


@pytest.fixture
def team(store: Store) -> dict[str, str]:
    with store.transaction() as tx:
        return {name: members.add(tx, f"{name}@example.com", Role.SALES, actor="ada").id for name in ("ann", "bob", "eve")}


def test_turns_follow_capacity_and_end_where_everybody_is_full(store: Store, live: Hypothesis, clock: Clock, team: dict[str, str]) -> None:
    add(store, "shared", Rules(owners=Owners(rule="round_robin", turns=(Turn(member=team["ann"], per_week=4), Turn(member=team["bob"], per_week=2)))))
    names = {member: name for name, member in team.items()} | {None: None}
    got = [names[fire(store, live, clock, f"p{number}").assigned_id] for number in range(7)]
    assert got == ["ann", "bob", "ann", "ann", "bob", "ann", None]
    clock.advance(timedelta(days=7))
    assert names[fire(store, live, clock, "p-next-week").assigned_id] == "ann"


def test_the_crm_s_owner_comes_before_turns_if_a_member_has_that_address(store: Store, live: Hypothesis, clock: Clock, team: dict[str, str]) -> None:
    add(store, "crm-owned", Rules(owners=Owners(rule="crm_owner", turns=(Turn(member=team["bob"]), Turn(member="mbr_who_left")))))
    assert fire(store, live, clock, "p1", crm_owner="EVE@example.com").assigned_id == team["eve"]
    assert fire(store, live, clock, "p2", crm_owner="stranger@example.com").assigned_id == team["bob"]
    assert "stranger@example.com" not in every_text(store)


def test_turns_are_fair_in_proportion() -> None:
    turns = (Turn(member="a", per_week=10), Turn(member="b", per_week=5))
    had: dict[str, int] = {}
    for _ in range(15):
        chosen = whose_turn(turns, had)
        assert chosen is not None
        had[chosen] = had.get(chosen, 0) + 1
    assert had == {"a": 10, "b": 5}
    assert whose_turn(turns, had) is None


def test_what_nobody_claims_in_time_becomes_another_s_and_is_told_once_more(
    store: Store, live: Hypothesis, clock: Clock, team: dict[str, str]
) -> None:
    rule = Owners(rule="round_robin", turns=(Turn(member=team["ann"]),), escalate_after_hours=4, escalate_to=team["eve"])
    add(store, "shared", Rules(owners=rule))
    claimed, left = fire(store, live, clock, "p1"), fire(store, live, clock, "p2")
    with store.transaction() as tx:
        following.claim(tx, claimed.id, team["ann"], actor="ann")
    clock.advance(timedelta(hours=3, minutes=59))
    with store.transaction() as tx:
        assert escalating.escalate(tx) == 0
    clock.advance(timedelta(minutes=1))
    with store.transaction() as tx:
        assert escalating.escalate(tx) == 1
        assert escalating.escalate(tx) == 0
        assert signals.get(tx, left.id).assigned_id == team["eve"]
        assert signals.get(tx, claimed.id).assigned_id == team["ann"]
        steps = sorted(one.step for one in deliveries.of_signals(tx, [left.id])[left.id])
        ids = {one.message_id for one in deliveries.of_signals(tx, [left.id])[left.id]}
    assert (steps, len(ids)) == ([0, 0, 1], 3), "along the route that has the rule, under an id of its own"


def test_a_stop_lets_nothing_out_until_it_is_over(store: Store, live: Hypothesis, clock: Clock) -> None:
    fire(store, live, clock, "p1")
    lease = timedelta(minutes=1)
    with store.transaction() as tx:
        reach.stop(tx, actor="ada", reason="wrong list")
        reach.stop(tx, actor="bob")
        told = reach.stopped(tx)
    assert told is not None
    assert (told.actor, told.reason, told.at) == ("ada", "wrong list", clock.now)
    fire(store, live, clock, "p2")
    with store.transaction() as tx:
        assert (deliveries.due_routes(tx), deliveries.claim(tx, limit=9, lease=lease), deliveries.waiting_since(tx)) == ([], [], None)
        assert reach.start(tx, actor="ada")
        assert not reach.start(tx, actor="ada")
        assert len(deliveries.claim(tx, limit=9, lease=lease)) == 2
        assert [one.action for one in audit.entries(tx, object_id=tx.workspace_id, limit=2)] == ["sending.start", "sending.stop"]


def test_what_waited_through_a_stop_may_be_given_up(store: Store, live: Hypothesis, clock: Clock) -> None:
    one = fire(store, live, clock, "p1")
    with store.transaction() as tx:
        assert deliveries.drop_waiting(tx, actor="ada") == 1
        assert [each.status for each in deliveries.of_signals(tx, [one.id])[one.id]] == ["dead"]


def test_accounts_are_sealed_found_again_and_forgotten_with_their_person(
    store: Store, connection: Connection, live: Hypothesis, clock: Clock
) -> None:
    one = fire(store, live, clock, "p1", account=ACME, email="canary@acme.com")
    with store.transaction() as tx:
        reach.suppress(tx, "internal", [Entry("id", "p1")], actor="ada")
        assert reach.accounts(tx, [one.id, "sig_unknown"]) == {one.id: ACME}
    assert "canary" not in every_text(store)
    with store.transaction() as tx:
        erasure.erase_unit(tx, connection.id, "person", "p1", actor="ada")
        assert reach.accounts(tx, [one.id]) == {}
        assert reach.suppressed(tx).data == ()


def test_all_workers_together_keep_a_destination_s_limit(store: Store, clock: Clock) -> None:
    def slots(wanted: int, per_second: float = 25.0) -> list[float]:
        with store.transaction() as tx:
            return [one.total_seconds() for one in send_limits.reserve(tx, "attio", per_second, wanted)]

    assert slots(3) == [0.0, 0.04, 0.08]
    assert slots(1) == [0.12]
    assert len(slots(100)) == 22, "as far as a second ahead"
    assert slots(1) == []
    clock.advance(timedelta(seconds=0.5))
    assert slots(1) == [0.54]
    clock.advance(timedelta(seconds=60))
    assert slots(2, 1.0) == [0.0, 1.0]
    with store.transaction() as tx:
        assert send_limits.drop_unused(tx) == 0
    clock.advance(timedelta(days=2))
    with store.transaction() as tx:
        assert send_limits.drop_unused(tx) == 1


def test_workers_at_once_take_different_slots(store: Store) -> None:
    together, taken = threading.Barrier(4), []

    def work() -> None:
        together.wait()
        for _ in range(5):
            with store.transaction() as tx:
                taken.extend(send_limits.reserve(tx, "slack", 20.0, 1))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(taken) == len(set(taken)) == 20
