"""Pushed events through the store, on both databases, without a PostHog: matches and signals come from memory alone."""

import asyncio
import uuid
from collections.abc import Generator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from backtest import Hypothesis
from backtest.taxonomy import GroupType, Taxonomy
from beton.lifecycle import Action
from beton.settings import Settings
from beton.signals import Signal
from beton.store import connections, hypotheses, live, signals, taxonomies
from beton.store.engines import open_engine
from beton.store.records import Connection, NewHypothesis
from beton.store.records import Hypothesis as Kept
from beton.store.sealing import Sealer
from beton.store.store import Store
from beton.work.arrived import Arrived
from beton.work.live_state import approved as lives
from beton.work.live_state import load, scopes_of
from beton.work.receiving import Received, receive
from beton.work.workplace import Workplace
from tests.conftest import Clock

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
PAID = {"kind": "event", "match": "paid", "horizon": "2d"}
VIEWS = {"clauses": [{"kind": "did", "match": "viewed", "at_least": 2, "span": {"last": "3d"}}], "entry": "signed_up", "outcome": PAID}
QUIET = {"clauses": [{"kind": "did_not", "match": "viewed", "span": {"last": "1d"}}], "entry": "signed_up", "outcome": PAID}
SHARES = {"clauses": [{"kind": "did", "match": "shared", "span": {"last": "2d"}}], "outcome": PAID, "unit": {"group": "company"}}


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, clock: Clock, tmp_path: Path) -> Generator[Workplace]:
    url = request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "postgres_url")
    clock.now = NOW
    store = Store(open_engine(url), Sealer({"k1": bytes(range(32))}), clock)
    yield Workplace(Settings(data_dir=tmp_path), store, clock)
    store.close()


@pytest.fixture
def connection(place: Workplace) -> Connection:
    with place.store.transaction() as tx:
        found = connections.add(tx, name="shop", host="https://eu.posthog.com", project_id="17", api_key="phx_canaryCANARYcanary", actor="ada")
        taxonomy = Taxonomy(taken_at=NOW, window_days=90, group_types=(GroupType(name="company", index=0),))
        taxonomies.save(tx, found.id, taxonomy.model_dump(mode="json"))
        return found


def swept(place: Workplace, connection: Connection, definition: dict, cursor: datetime = NOW) -> Kept:
    """An approved hypothesis that has been swept up to an instant and remembers nothing yet."""
    meaning = Hypothesis.model_validate(definition)
    new = NewHypothesis(
        connection_id=connection.id, name=str(definition["clauses"]), fingerprint=str(definition["clauses"]), definition=meaning.to_json(),
        sentence="A sentence.", type="converts", source="search", selected=True,
    )  # fmt: skip
    with place.store.transaction() as tx:
        row = hypotheses.add(tx, new, actor="search")[0]
        live_from = NOW - timedelta(days=30)
        row = hypotheses.decide(
            tx, row.id, Action.APPROVE, expected_row_version=row.row_version, actor="ada", clears=True, live_from=live_from
        )  # fmt: skip
        live.advance(tx, connection.id, scopes_of(row)[0], cursor)
    return row


def event(name: str, person: str | None, ago: timedelta, number: int = 0, **more) -> Arrived:
    return Arrived(
        str(uuid.UUID(int=number or hash((name, person, ago)) % 2**64)), name, "device", person, {}, more.get("group_keys", {}), NOW - ago, NOW
    )


def push(place: Workplace, connection: Connection, *arrived: Arrived) -> list[Received]:
    return asyncio.run(receive(place, connection, arrived))


def written(place: Workplace) -> list[Signal]:
    with place.store.reading() as tx:
        return list(signals.listing(tx).data)


MINUTE = timedelta(minutes=1)


def test_pushed_events_are_remembered_and_the_last_of_them_fires_once(place: Workplace, connection: Connection) -> None:
    swept(place, connection, VIEWS)
    first = push(place, connection, event("signed_up", "eve", 9 * MINUTE), event("viewed", "eve", 8 * MINUTE))
    assert [one.status for one in first] == ["matched", "matched"]
    again = event("viewed", "eve", 2 * MINUTE)
    (second,) = push(place, connection, again)
    (signal,) = written(place)
    assert (second.status, second.signal_ids) == ("fired", [signal.id])
    assert (signal.unit_id, signal.fired_at) == ("eve", NOW - 2 * MINUTE)
    assert [(one.event, one.at) for one in signal.receipts] == [("viewed", NOW - 8 * MINUTE), ("viewed", NOW - 2 * MINUTE)]
    assert signal.receipts[-1].event_id == again.event_uuid
    (third,) = push(place, connection, again)
    assert (third.status, third.code) == ("matched", "live.known")
    assert len(written(place)) == 1


def test_an_event_that_comes_twice_counts_once(place: Workplace, connection: Connection) -> None:
    swept(place, connection, VIEWS)
    one = event("viewed", "eve", 8 * MINUTE)
    push(place, connection, event("signed_up", "eve", 9 * MINUTE), one, one)
    push(place, connection, one)
    assert not written(place)


def test_what_memory_cannot_tell_waits_and_says_so(place: Workplace, connection: Connection) -> None:
    row = swept(place, connection, VIEWS)
    late, nobody, other = push(
        place, connection, event("viewed", "eve", timedelta(hours=73)), event("viewed", None, MINUTE), event("scrolled", "eve", MINUTE)
    )
    assert [one.code for one in (late, nobody, other)] == ["live.too_late", "live.no_unit", "live.none"]
    with place.store.transaction() as tx:
        live.rewind(tx, connection.id)
    (new,) = push(place, connection, event("viewed", "eve", MINUTE))
    assert (new.status, new.code) == ("ignored", "live.waits")
    with place.store.reading() as tx:
        assert load(tx, lives(tx, connection.id)[0]).kept == {}
    assert row.id


def test_a_late_event_marks_the_signal_that_it_would_have_prevented(place: Workplace, connection: Connection, clock: Clock) -> None:
    row = swept(place, connection, QUIET, NOW - timedelta(hours=1))
    push(place, connection, event("signed_up", "eve", timedelta(hours=26)), event("signed_up", "bob", timedelta(hours=26)))
    told = {one.unit_id: one.id for one in written(place)}
    assert set(told) == {"eve", "bob"}
    push(place, connection, event("viewed", "eve", timedelta(hours=3)))
    assert {one.unit_id for one in written(place) if one.revised_at} == {"eve"}
    assert row.id


def test_an_account_is_told_by_its_group(place: Workplace, connection: Connection) -> None:
    swept(place, connection, SHARES)
    (one,) = push(place, connection, event("shared", "eve", MINUTE, group_keys={"company": "acme"}))
    (signal,) = written(place)
    assert (one.status, signal.unit_kind, signal.unit_id) == ("fired", "account", "acme")
