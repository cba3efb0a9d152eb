"""Events on their way from the table to whoever matches them, with a matcher that only notes what it is told."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest

from beton.errors import PostHogUnreachable
from beton.settings import Settings
from beton.store import connections, erasure, inbound, inbound_events, workspaces
from beton.store.inbound_records import InboundEvent, InboundSource, Taken
from beton.store.records import Connection
from beton.store.store import Store
from beton.work.arrived import Arrived
from beton.work.arriving import AT_ONCE, go_through
from beton.work.mapping import DEFAULT
from beton.work.workplace import Workplace
from tests.conftest import Clock
from tests.work.test_mapping import PERSON, default_body


@dataclass(frozen=True)
class Answer:
    status: str = "ignored"
    code: str | None = "inbound.no_hypothesis"
    why: str | None = "No live hypothesis looks at it."
    signal_ids: tuple[str, ...] = ()


@dataclass
class FakeMatcher:
    """Notes events, and answers as told by their names."""

    answers: dict[str, Answer] = field(default_factory=dict)
    heard: list[Arrived] = field(default_factory=list)
    broken: int = 0

    async def __call__(self, place: Workplace, connection: Connection, arrived: Sequence[Arrived], /) -> Sequence[Answer]:
        if self.broken:
            self.broken -= 1
            raise PostHogUnreachable("PostHog does not answer.")
        self.heard += arrived
        return [self.answers.get(one.name, Answer()) for one in arrived]


@pytest.fixture
def place(store: Store, clock: Clock, tmp_path: Path) -> Workplace:
    return Workplace(Settings(data_dir=tmp_path), store, clock)


@pytest.fixture
def matcher() -> FakeMatcher:
    return FakeMatcher()


def connected(store: Store) -> Connection:
    with store.transaction() as tx:
        return connections.add(tx, name="shop", host="https://eu.posthog.com", project_id="17", api_key="phx_x", actor="ada")


@pytest.fixture
def source(store: Store) -> InboundSource:
    return listening(store, connected(store))


def listening(store: Store, connection: Connection, name: str = "posthog") -> InboundSource:
    with store.transaction() as tx:
        made, _ = inbound.add(tx, name=name, connection_id=connection.id, mapping=DEFAULT, secret=None, actor="ada")
        return inbound.switch(tx, made.id, "active", actor="ada")


def send(store: Store, source: InboundSource, *events: dict, whole: bool = False) -> None:
    """Each a microsecond after the other; the parts of `event` that differ, or whole bodies."""
    now = store.clock()
    with store.transaction() as tx:
        rows = []
        for number, event in enumerate(events):
            body = event if whole else default_body({"uuid": f"e{number}"} | event)
            uuid = body.get("event", {}).get("uuid", f"w{number}")
            at = now + timedelta(microseconds=number)
            rows.append(
                inbound_events.sealed_row(store.sealer, Taken(store.workspace_id, source.id, source.connection_id, uuid, at, json.dumps(body)))
            )
        inbound_events.keep(tx, rows)


def run(place: Workplace, matcher: FakeMatcher, worker: str = "one", **more: int) -> dict[str, int]:
    return dict(asyncio.run(go_through(place, matcher, worker, **more)))


def log(store: Store) -> dict[str, InboundEvent]:
    with store.reading() as tx:
        return {one.event_uuid: one for one in inbound_events.listing(tx, limit=500).data}


def test_events_are_matched_in_the_order_in_which_they_came(place: Workplace, store: Store, source: InboundSource, matcher: FakeMatcher):
    send(store, source, *({"uuid": f"e{number}"} for number in range(2 * AT_ONCE + 7)))
    assert run(place, matcher) == {"ignored": 2 * AT_ONCE + 7}
    assert [one.event_uuid for one in matcher.heard] == [f"e{number}" for number in range(2 * AT_ONCE + 7)]
    assert run(place, matcher) == {}


def test_the_log_says_what_became_of_each_and_why(place: Workplace, store: Store, source: InboundSource, matcher: FakeMatcher):
    matcher.answers = {
        "paid": Answer("fired", None, None, ("sig_1", "sig_2")),
        "invited": Answer("matched", "inbound.not_yet", "Two more are needed."),
    }
    send(store, source, {"uuid": "a", "event": "paid"}, {"uuid": "b"}, {"uuid": "c", "event": "viewed"}, {"uuid": "d", "timestamp": "?"})
    assert run(place, matcher) == {"fired": 1, "matched": 1, "ignored": 1, "failed": 1}
    found = log(store)
    assert (found["a"].status, found["a"].why, found["a"].signal_ids, found["a"].name) == ("fired", None, ("sig_1", "sig_2"), "paid")
    assert (found["b"].status, found["b"].why_code, found["b"].why) == ("matched", "inbound.not_yet", "Two more are needed.")
    assert (found["c"].status, found["c"].why_code) == ("ignored", "inbound.no_hypothesis")
    assert (found["d"].status, found["d"].why_code, found["d"].name) == ("failed", "source.no_instant", None)


def test_a_source_that_is_tried_out_shows_its_events_and_matches_none(place: Workplace, store: Store, source: InboundSource, matcher: FakeMatcher):
    with store.transaction() as tx:
        inbound.switch(tx, source.id, "testing", actor="ada")
    send(store, source, {"uuid": "a"}, {"uuid": "b", "event": None})
    assert run(place, matcher) == {"mapped": 1, "failed": 1}
    assert (log(store)["a"].why_code, log(store)["a"].name) == ("source.testing", "invited")
    assert matcher.heard == []


def test_while_posthog_is_away_events_wait_and_nothing_is_lost(place: Workplace, store: Store, source: InboundSource, matcher: FakeMatcher):
    send(store, source, {"uuid": "a"}, {"uuid": "b"})
    matcher.broken = 1
    assert run(place, matcher) == {}
    assert {one.status for one in log(store).values()} == {"arrived"}
    assert run(place, matcher, "two") == {"ignored": 2}


def test_one_worker_at_a_time(place: Workplace, store: Store, source: InboundSource, matcher: FakeMatcher, clock: Clock):
    send(store, source, {"uuid": "a"})
    with store.transaction() as tx:
        inbound.take(tx, source.id, "other", tx.now + timedelta(minutes=1))
    assert run(place, matcher) == {}
    clock.advance(timedelta(minutes=2))
    assert run(place, matcher) == {"ignored": 1}


def test_some_at_a_time(place: Workplace, store: Store, source: InboundSource, matcher: FakeMatcher):
    send(store, source, *({"uuid": f"e{number}"} for number in range(AT_ONCE + 5)))
    assert run(place, matcher, most=10) == {"ignored": AT_ONCE}
    assert run(place, matcher) == {"ignored": 5}


def test_events_about_somebody_who_was_erased_go_no_further_and_keep_no_body(
    place: Workplace, store: Store, source: InboundSource, matcher: FakeMatcher
):
    send(store, source, {"uuid": "before"})
    run(place, matcher)
    with store.transaction() as tx:
        assert erasure.erase_unit(tx, source.connection_id, "person", PERSON.lower(), actor="ada").inbound_bodies == 1
    send(store, source, {"uuid": "after"})
    assert run(place, matcher) == {"ignored": 1}
    found = log(store)
    assert (found["after"].why_code, found["after"].has_body, found["before"].has_body) == ("source.erased", False, False)
    assert [one.event_uuid for one in matcher.heard] == ["before"]


def test_whoever_is_erased_by_their_distinct_id_or_account_is_found_too(place: Workplace, store: Store, source: InboundSource, matcher: FakeMatcher):
    send(store, source, {"uuid": "a"}, {"uuid": "b", "distinct_id": "bob", "properties": {"$groups": {"company": "acme"}}})
    run(place, matcher)
    with store.transaction() as tx:
        assert erasure.erase_unit(tx, source.connection_id, "account", "acme", actor="ada").inbound_bodies == 1
        assert erasure.erase_unit(tx, source.connection_id, "person", "ada@example.com", actor="ada").inbound_bodies == 1


def test_workspaces_do_not_go_through_each_other_s_events(place: Workplace, store: Store, source: InboundSource, matcher: FakeMatcher):
    send(store, source, {"uuid": "a"})
    other = place.of(workspaces.add(store, "Second", actor="set-up").id)
    assert run(other, matcher) == {}
    assert run(place, matcher) == {"ignored": 1}
