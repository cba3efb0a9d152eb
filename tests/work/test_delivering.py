"""What the outbox in the store gives to the lanes: messages as they will be sent, no faster than is taken, and nothing twice to people."""

from datetime import timedelta
from pathlib import Path

import orjson
import pytest

from beton.lifecycle import Action, Status
from beton.roles import Role
from beton.routing.deliver import LEASE
from beton.settings import Settings
from beton.signals import Account, DeliveryStatus, Finding
from beton.store import connections, deliveries, following, hypotheses, members, signals
from beton.store.records import Hypothesis
from beton.store.route_rules import Owners, Rules, Turn
from beton.store.store import Store
from beton.work import deciding
from beton.work.delivering import StoredOutbox
from beton.work.ways_out import add_route, open_way
from beton.work.workplace import Workplace
from tests.conftest import Clock
from tests.web.steps import kept, result

SLACK = {"token": "xoxb-1-2-canary", "channel": "C0123456789"}
MAIL = {"to": "ada@example.com", "sender": "beton@example.com", "host": "smtp.example.com", "daily": True, "hour": 7}


@pytest.fixture
def place(store: Store, tmp_path: Path, clock: Clock) -> Workplace:
    return Workplace(Settings(data_dir=tmp_path, public_url="https://beton.example.com"), store, clock)


@pytest.fixture
def live(place: Workplace) -> Hypothesis:
    """Approved on a result."""
    with place.store.transaction() as tx:
        connection = connections.add(tx, name="shop", host="https://eu.posthog.com", project_id="17", api_key="phx_x", actor="ada")
    row = kept(place.store, connection, status=Status.PROPOSED, tested=result())
    deciding.decide(place, row.id, Action.APPROVE, actor="ada", override_reason="a test", reason="")
    with place.store.reading() as tx:
        return hypotheses.get(tx, row.id)


def fire(place: Workplace, live: Hypothesis, *units: str, **more) -> None:
    found = [Finding(unit_kind="person", unit_id=unit, fired_at=place.clock(), confidence=0.31, **more) for unit in units]
    with place.store.transaction() as tx:
        signals.record(tx, live.id, live.version, found)


def states(place: Workplace) -> list[DeliveryStatus]:
    with place.store.reading() as tx:
        return sorted(one.status for one in deliveries.listing(tx).data)


def test_a_channel_with_a_limit_gets_slots_a_second_apart_over_all_workers(place: Workplace, live: Hypothesis, clock: Clock) -> None:
    route = open_way(place, name="chat", kind="slack", given=SLACK, actor="ada")
    fire(place, live, "p1", "p2", "p3", "p4")
    assert [one.wait for one in StoredOutbox(place).claim(route.id, 8)] == [timedelta(0), timedelta(seconds=1)]
    assert StoredOutbox(place).claim(route.id, 8) == [], "another worker takes none of the same second"
    clock.advance(timedelta(seconds=2))
    assert len(StoredOutbox(place).claim(route.id, 8)) == 2


def test_what_a_dead_worker_may_have_sent_to_people_is_held_for_one_of_them(place: Workplace, live: Hypothesis, clock: Clock) -> None:
    chat, hook = (
        open_way(place, name="chat", kind="slack", given=SLACK, actor="ada"),
        add_route(place, name="hook", url="https://x.example.com/", actor="ada")[0],
    )
    fire(place, live, "p1")
    for route in (chat, hook):
        assert len(StoredOutbox(place).claim(route.id, 1)) == 1
    clock.advance(LEASE)
    assert StoredOutbox(place).claim(chat.id, 1) == []
    assert len(StoredOutbox(place).claim(hook.id, 1)) == 1, "a webhook knows a repetition"
    assert states(place) == [DeliveryStatus.IN_DOUBT, DeliveryStatus.PENDING]


def test_a_daily_mail_waits_for_its_hour_and_has_all_of_the_day(place: Workplace, live: Hypothesis, clock: Clock) -> None:
    route = open_way(place, name="ada", kind="email", given=MAIL, actor="ada")
    clock.now = clock.now.replace(hour=9, minute=0, second=0, microsecond=0)
    fire(place, live, "p1", "p2")
    outbox = StoredOutbox(place)
    assert outbox.claim(route.id, 1) == []
    assert outbox.due_routes() == [], "and nothing is overdue until then"
    clock.advance(timedelta(hours=21, minutes=59))
    assert outbox.due_routes() == []
    clock.advance(timedelta(minutes=1))
    fire(place, live, "p3")
    parcels = outbox.claim(route.id, 1)
    assert sorted(str(one.message and one.message.unit) for one in parcels) == ["p1", "p2", "p3"]
    assert {one.wait for one in parcels} == {timedelta(0)}


def test_a_message_says_whose_account_and_how_sure_in_the_route_s_own_words(place: Workplace, live: Hypothesis) -> None:
    with place.store.transaction() as tx:
        ann = members.add(tx, "ann@example.com", Role.SALES, actor="ada", name="Ann")
    rules = Rules(owners=Owners(rule="round_robin", turns=(Turn(member=ann.id),)), template="{{unit}} of {{account}} for {{owner}}: {{hypothesis}}")
    route, _ = add_route(place, name="hook", url="https://x.example.com/", actor="ada", rules=rules)
    fire(place, live, "p1", account=Account(key="acme-1", name="Acme", domain="acme.com"))
    (parcel,) = StoredOutbox(place).claim(route.id, 1)
    message = parcel.message
    assert message is not None
    assert (message.account, message.account_domain, message.owner, message.type) == ("Acme", "acme.com", "Ann", "pql")
    assert message.promise == "128 of 412 like this converted"
    assert (message.body or "").startswith("p1 of Acme for Ann: ")
    told = orjson.loads(message.payload or b"")
    assert (told["account"], told["owner"], told["text"]) == ({"name": "Acme", "domain": "acme.com"}, "Ann", message.body)
    assert told["links"] == {"signal": f"https://beton.example.com/signals/{message.signal_id}"}


def test_a_claim_by_somebody_does_not_change_a_message_on_its_way(place: Workplace, live: Hypothesis, clock: Clock) -> None:
    with place.store.transaction() as tx:
        ann, bob = (members.add(tx, f"{name}@example.com", Role.SALES, actor="ada", name=name) for name in ("Ann", "Bob"))
    rules = Rules(owners=Owners(rule="round_robin", turns=(Turn(member=ann.id),)))
    route, _ = add_route(place, name="hook", url="https://x.example.com/", actor="ada", rules=rules)
    fire(place, live, "p1")
    (first,) = StoredOutbox(place).claim(route.id, 1)
    with place.store.transaction() as tx:
        following.claim(tx, str(first.claim.delivery.signal_id), bob.id, actor="Bob")
    clock.advance(LEASE)
    (second,) = StoredOutbox(place).claim(route.id, 1)
    assert first.message == second.message
