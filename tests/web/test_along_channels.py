"""From written signals through the outbox into real servers: each kind of route gets what it should, once, and tells when nobody knows."""

import asyncio
from collections.abc import Generator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from random import Random

import pytest

from beton.lifecycle import Status
from beton.routing import hubspot
from beton.signals import Account, DeliveryStatus, Finding, Receipt
from beton.store import deliveries, routes, signals
from beton.store.records import Connection
from beton.store.store import Store
from beton.work.delivering import deliver_signals
from beton.work.ways_out import open_way
from beton.work.workplace import Workplace
from tests.conftest import Clock
from tests.routing import fake_hubspot, fake_posthog_writes, fake_slack, mailbox
from tests.routing.apis import listening
from tests.web.steps import kept, result


@dataclass
class World:
    """The servers behind four routes."""

    slack: fake_slack.FakeSlack
    hubspot: fake_hubspot.FakeHubSpot
    posthog: fake_posthog_writes.FakePostHog
    mailbox: mailbox.Mailbox


@pytest.fixture
def world(place: Workplace) -> Generator[World]:
    made = World(fake_slack.FakeSlack(), fake_hubspot.FakeHubSpot(), fake_posthog_writes.FakePostHog(), mailbox.Mailbox())
    with ExitStack() as opened:
        slack, crm, posthog = (opened.enter_context(listening(api)) for api in (made.slack, made.hubspot, made.posthog))
        port = opened.enter_context(mailbox.listening(made.mailbox))
        mail = {
            "to": "ada@example.com",
            "sender": "beton@acme.example",
            "host": "127.0.0.1",
            "port": port,
            "security": "none",
            "daily": True,
            "hour": 7,
        }
        open_way(place, name="slack", kind="slack", given={"webhook_url": f"{slack}/services/T0/B0/hook-token"}, actor="ada")
        open_way(place, name="mail", kind="email", given=mail, actor="ada")
        open_way(place, name="crm", kind="hubspot", given={"token": fake_hubspot.TOKEN, "base_url": crm}, actor="ada")
        given = {"host": posthog, "project_id": 7, "key": fake_posthog_writes.KEY}
        open_way(place, name="marks", kind="posthog_annotation", given=given, actor="ada")
        for name in hubspot.FIELDS:
            shape = {"string": "text", "number": "number", "datetime": "date"}
            kind = {"text": "string", "number": "number", "instant": "datetime"}[name.form]
            new = {
                "name": name.name,
                "label": name.label,
                "type": kind,
                "fieldType": shape[kind],
                "groupName": "beton",
                "hasUniqueValue": name.unique,
            }
            made.hubspot.properties[name.name] = fake_hubspot.NewProperty.model_validate(new)
        yield made


def fire(store: Store, connection: Connection, count: int, days: int = 7) -> None:
    row = kept(store, connection, days=days, status=Status.APPROVED, tested=result())
    with store.transaction() as tx:
        receipt = Receipt(event="<!channel> invited", at=tx.now, event_id="e-1")
        found = [
            Finding(
                unit_kind="account",
                unit_id=f"group-{days}-{n}",
                fired_at=tx.now,
                confidence=0.31,
                receipts=(receipt,),
                account=Account(key=f"group-{days}-{n}", name=f"Company {n}", domain=f"company{days}-{n}.example"),
            )
            for n in range(count)
        ]
        signals.record(tx, row.id, row.version, found)


def run(place: Workplace) -> None:
    asyncio.run(deliver_signals(place, Random(7)))


def states(store: Store, route: str) -> list[DeliveryStatus]:
    with store.reading() as tx:
        return [one.status for one in deliveries.listing(tx, route_id=routes.get(tx, route).id).data]


def test_one_signal_is_a_message_a_record_a_mark_and_later_a_line_in_the_day_s_mail(
    place: Workplace, store: Store, connection: Connection, world: World, clock: Clock
):
    fire(store, connection, 1)
    run(place)
    run(place)

    assert len(world.slack.posted) == 1
    assert "<!channel>" not in "".join(fake_slack.texts(world.slack.posted[0]))
    (record,) = world.hubspot.held.values()
    assert (record["beton_key"], record["beton_who"]) == ("domain:company7-0.example", "Company 0 (group-7-0)")
    assert len(world.posthog.annotations) == 1
    assert world.mailbox.mails == [], "it is half past nine; the mail goes at seven"
    assert states(store, "mail") == [DeliveryStatus.PENDING]

    fire(store, connection, 1, days=8)
    clock.advance(timedelta(hours=22))
    run(place)
    run(place)

    (mail,) = world.mailbox.mails
    assert mail["Subject"] == "2 signals"
    assert states(store, "mail") == [DeliveryStatus.DELIVERED] * 2
    assert len(world.slack.posted) == 2


def test_a_batch_goes_into_the_crm_in_a_few_requests(place: Workplace, store: Store, connection: Connection, world: World):
    with store.transaction() as tx:
        for name in ("slack", "mail", "marks"):
            routes.switch(tx, name, enabled=False, actor="ada")
    fire(store, connection, 12)
    run(place)

    assert len(world.hubspot.held) == 12
    assert states(store, "crm") == [DeliveryStatus.DELIVERED] * 12
    assert len(world.hubspot.asked) <= 4


def test_what_nobody_knows_is_held_for_a_person_and_all_else_is_told_again(
    place: Workplace, store: Store, connection: Connection, world: World, clock: Clock
):
    fire(store, connection, 1)
    world.slack.lose = world.hubspot.lose_writes = world.posthog.lose_writes = 1
    run(place)

    assert [states(store, name) for name in ("slack", "crm", "marks")] == [
        [DeliveryStatus.IN_DOUBT],
        [DeliveryStatus.FAILED],
        [DeliveryStatus.FAILED],
    ]
    for _ in range(2):
        clock.advance(timedelta(minutes=1))
        run(place)

    assert [states(store, name) for name in ("slack", "crm", "marks")] == [
        [DeliveryStatus.IN_DOUBT],
        [DeliveryStatus.DELIVERED],
        [DeliveryStatus.DELIVERED],
    ]
    assert (len(world.slack.posted), len(world.hubspot.held), len(world.posthog.annotations)) == (1, 1, 1)


def test_a_worker_that_dies_over_a_mail_leaves_it_in_doubt_and_sends_it_never_again(
    place: Workplace, store: Store, connection: Connection, world: World, clock: Clock
):
    fire(store, connection, 1)
    clock.advance(timedelta(hours=22))
    with store.transaction() as tx:
        mail = routes.get(tx, "mail").id
        (claim,) = deliveries.claim(tx, limit=1, lease=timedelta(seconds=60), route_id=mail)
    clock.advance(timedelta(minutes=2))
    run(place)

    assert claim.delivery.attempts == 0
    assert states(store, "mail") == [DeliveryStatus.IN_DOUBT]
    assert world.mailbox.mails == []
