"""A dry run says what would have gone, and why the rest would not; nothing is written by it."""

from datetime import timedelta
from pathlib import Path

import pytest

from beton.lifecycle import Status
from beton.roles import Role
from beton.settings import Settings
from beton.signals import Account, Finding
from beton.store import backtests, connections, fires, holding, members, reach, routes, signals, workspaces
from beton.store.reach import Entry
from beton.store.records import BacktestFire, Connection, Hypothesis
from beton.store.route_rules import Cooldown, Owners, Passes, Rules, Turn
from beton.store.store import Store
from beton.work.previewing import preview
from beton.work.workplace import Workplace
from tests.conftest import Clock
from tests.store.steps import a_webhook, every_text
from tests.web.steps import kept, result

ACME = Account(key="acme-1", domain="acme.com")


@pytest.fixture
def place(store: Store, tmp_path: Path, clock: Clock) -> Workplace:
    return Workplace(Settings(data_dir=tmp_path, public_url="https://beton.example.com"), store, clock)


@pytest.fixture
def connection(store: Store) -> Connection:
    with store.transaction() as tx:
        return connections.add(tx, name="shop", host="https://eu.posthog.com", project_id="17", api_key="phx_x", actor="ada")


@pytest.fixture
def live(store: Store, connection: Connection, clock: Clock) -> Hypothesis:
    """Approved, with a signal on each of five days: of p0 twice, and three times of one account."""
    row = kept(store, connection, status=Status.APPROVED, tested=result())
    found = [("p0", None), ("p1", ACME), ("p2", ACME), ("p0", None), ("p3", ACME)]
    for number, (unit, account) in enumerate(found):
        one = Finding(unit_kind="person", unit_id=unit, fired_at=clock.now, occurrence=number + 1, confidence=0.31, account=account)
        with store.transaction() as tx:
            signals.record(tx, row.id, 1, [one])
        clock.advance(timedelta(days=1))
    return row


def whys(place: Workplace, rules: Rules, **more) -> list[tuple[str | None, str | None]]:
    """Unit and reason of each, the oldest first."""
    return [(one.candidate.signal.unit_id, one.why) for one in reversed(preview(place, rules=rules, **more).lines)]


def test_everything_would_go_along_a_route_without_rules(place: Workplace, live: Hypothesis, store: Store) -> None:
    before = every_text(store)
    told = preview(place)
    assert (told.sent, dict(told.why), len(told.lines)) == (5, {}, 5)
    assert "pql" in told.lines[0].title
    assert told.lines[0].text.endswith(".")
    assert every_text(store) == before


def test_filter_cooldown_lists_and_snoozes_are_played_in_order_of_time(place: Workplace, live: Hypothesis, store: Store, clock: Clock) -> None:
    assert whys(place, Rules(cooldown=Cooldown(unit_days=7))) == [("p0", None), ("p1", None), ("p2", None), ("p0", "unit_cooldown"), ("p3", None)]
    assert whys(place, Rules(cooldown=Cooldown(account_days=2))) == [
        ("p0", None), ("p1", None), ("p2", "account_cooldown"), ("p0", None), ("p3", None)
    ]  # fmt: skip
    assert {why for _, why in whys(place, Rules(passes=Passes(min_confidence=0.5)))} == {"filter"}
    assert {why for _, why in whys(place, Rules(passes=Passes(cohort="5")))} == {"cohort"}
    with store.transaction() as tx:
        reach.suppress(tx, "customers", [Entry("domain", "acme.com")], actor="ada")
        reach.snooze(tx, Entry("id", "p0"), clock.now + timedelta(days=1), actor="ada")
    assert [why for _, why in whys(place, Rules())] == ["snoozed", "customers", "customers", "snoozed", "customers"]


def test_the_workspace_s_own_cooldown_comes_first(place: Workplace, live: Hypothesis, store: Store) -> None:
    with store.transaction() as tx:
        workspaces.choose(tx, holding.COOLDOWN, {"unit_days": 30}, actor="ada")
    assert [why for _, why in whys(place, Rules(passes=Passes(types=("trial",))))] == ["filter", "filter", "filter", "unit_cooldown", "filter"]
    assert preview(place).why == {"unit_cooldown": 1}


def test_turns_are_shared_out_and_the_text_is_the_template_s(place: Workplace, live: Hypothesis, store: Store) -> None:
    with store.transaction() as tx:
        team = [members.add(tx, f"{name}@example.com", Role.SALES, actor="ada", name=name) for name in ("Ann", "Bob")]
        rules = Rules(
            owners=Owners(rule="round_robin", turns=(Turn(member=team[0].id, per_week=1), Turn(member=team[1].id, per_week=1))),
            template="{{unit}} for {{owner|nobody}}: {{hypothesis}}",
        )
        routes.add(tx, name="crm", destination=a_webhook(url="https://x.example/1", secret="whsec_x"), actor="ada", rules=rules)
    told = preview(place, route="crm")
    assert dict(told.turns) == {"Ann": 1, "Bob": 1}
    texts = [one.text.partition(":")[0] for one in reversed(told.lines)]
    assert texts == ["p0 for Ann", "p1 for Bob", "p2 for nobody", "p0 for nobody", "p3 for nobody"]


def test_fires_of_the_newest_backtest_stand_in_for_a_past_without_signals(place: Workplace, live: Hypothesis, store: Store, clock: Clock) -> None:
    with store.transaction() as tx:
        tested = backtests.latest(tx, [live.id])[live.id]
        past = (("p1", 3), ("new", 4), ("old", 90))
        found = [BacktestFire(unit_kind="person", unit_id=unit, fired_at=clock.now - timedelta(days=days), outcome_at=None) for unit, days in past]
        fires.keep(tx, live.connection_id, tested.run_id, live.id, found)
    told = preview(place, weeks=4)
    assert [(one.candidate.signal.unit_id, one.candidate.from_backtest) for one in told.lines if one.candidate.from_backtest] == [("new", True)]
    assert told.sent == 6
    assert preview(place, weeks=99).since == clock.now - timedelta(weeks=12)
