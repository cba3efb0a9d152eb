"""The address where events come in, with a real intake behind it."""

import asyncio
import json
import logging
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

import httpx
import pytest
from litestar import Litestar
from standardwebhooks import Webhook

from beton.settings import Settings
from beton.store import inbound, inbound_events
from beton.store.engines import open_engine
from beton.store.inbound_records import InboundEvent, InboundHour, InboundSource
from beton.store.records import Connection
from beton.store.store import Store
from beton.web.access.doorkeeper import Door
from beton.web.inbound.endpoint import DEEPEST, LARGEST, STRANGERS, Inbound
from beton.work.intake import PATIENCE, Intake
from beton.work.mapping import DEFAULT
from beton.work.spool import Spool
from tests.conftest import Clock
from tests.store.steps import every_text

SECRET = "whsec_Y2FuYXJ5Q0FOQVJZY2FuYXJ5Q0FOQVJZY2FuYXJ5Q0E="
UUID = "0190a0e0-0000-7000-8000-{:012d}"


def posthog(number: int = 1, **more: Any) -> dict[str, Any]:
    """PostHog's default body."""
    event = {
        "uuid": UUID.format(number),
        "event": "invited_teammate",
        "distinct_id": "canary@example.com",
        "properties": {"note": "canary", "$groups": {"company": "acme"}},
        "timestamp": "2026-03-02T09:00:00Z",
        "elements_chain": "",
        "url": "https://us.posthog.com/projects/1/events/1",
    }
    person = {
        "id": UUID.format(9),
        "name": "canary",
        "properties": {"email": "canary@example.com"},
        "url": "https://us.posthog.com/projects/1/persons/1",
    }
    return {"event": event | more, "person": person}


@dataclass
class Doorstep:
    """The endpoint, the source behind it and its address."""

    inbound: Inbound
    intake: Intake
    store: Store
    source: InboundSource
    token: str
    asked: list[httpx.Request] = field(default_factory=list)

    def send(self, content: Any, *, token: str | None = None, method: str = "POST", **headers: str) -> httpx.Response:
        return self.send_all([content], token=token, method=method, **headers)[0]

    def send_all(self, several: list[Any], *, token: str | None = None, method: str = "POST", **headers: str) -> list[httpx.Response]:
        """All at once, as JSON unless they are bytes."""

        async def ask() -> list[httpx.Response]:
            transport = httpx.ASGITransport(app=self.inbound)  # ty: ignore[invalid-argument-type]
            async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8321") as client:
                path = f"/in/{self.token if token is None else token}"
                bodies = [one if isinstance(one, bytes) else json.dumps(one).encode() for one in several]
                return await asyncio.gather(*(client.request(method, path, content=one, headers=headers) for one in bodies))

        return asyncio.run(ask())

    def log(self) -> list[InboundEvent]:
        with self.store.reading() as tx:
            return list(inbound_events.listing(tx, source_id=self.source.id, limit=500).data)

    def hour(self) -> InboundHour:
        """What the hour has seen; nothing more comes in afterwards."""
        self.intake.stop()
        with self.store.reading() as tx:
            return inbound_events.hours(tx, self.source.id, since=tx.now - timedelta(hours=1))[-1]

    def bodies(self) -> list[Any]:
        with self.store.reading() as tx:
            return [json.loads(one.body) for one in inbound_events.waiting(tx, self.source.id, 500)]


@pytest.fixture
def doorstep(app: Litestar, store: Store, sqlite_url: str, connection: Connection, tmp_path: Path, clock: Clock) -> Generator[Doorstep]:
    intake = Intake(Store(open_engine(sqlite_url, patience=PATIENCE), store.sealer, clock), Spool(tmp_path / "spool"))
    with store.transaction() as tx:
        source, token = inbound.add(tx, name="posthog", connection_id=connection.id, mapping=DEFAULT, secret=None, actor="ada")
    intake.start()
    yield Doorstep(Inbound(app, intake, Door.of(Settings(data_dir=tmp_path)), clock, fresh=timedelta(0)), intake, store, source, token)
    intake.stop()


@contextmanager
def locked(store: Store) -> Generator[None]:
    """Somebody else writes, and takes their time."""
    with store.transaction() as tx:
        tx.session.connection()
        yield


def test_posthog_s_default_body_is_safe_when_it_is_accepted(doorstep: Doorstep):
    answer = doorstep.send(posthog())
    assert (answer.status_code, answer.json()) == (202, {"status": "accepted"})
    (event,) = doorstep.log()
    assert (event.event_uuid, event.status) == (UUID.format(1), "arrived")
    assert doorstep.bodies() == [posthog()]


def test_many_at_once_share_few_commits_and_none_is_lost(doorstep: Doorstep):
    answers = doorstep.send_all([posthog(number) for number in range(200)])
    assert {one.status_code for one in answers} == {202}
    assert len(doorstep.log()) == 200
    assert doorstep.intake.tally.commits < 50


def test_the_same_event_sent_again_is_accepted_and_taken_once(doorstep: Doorstep):
    assert [one.status_code for one in doorstep.send_all([posthog(), posthog(), posthog()])] == [202] * 3
    assert doorstep.send(posthog()).status_code == 202
    assert len(doorstep.log()) == 1
    hour = doorstep.hour()
    assert (hour.arrived, hour.repeated) == (1, 3)


def test_a_list_and_a_batch_hold_an_event_each(doorstep: Doorstep, clock: Clock):
    assert doorstep.send([posthog(1), posthog(2)]).status_code == 202
    clock.advance(timedelta(milliseconds=5))
    assert doorstep.send({"batch": [posthog(3), posthog(4), posthog(4)]}).status_code == 202
    assert [one["event"]["uuid"][-1] for one in doorstep.bodies()] == ["1", "2", "3", "4"]
    assert doorstep.send([]).status_code == 202
    assert doorstep.send({"batch": 1}).status_code == 400
    assert doorstep.send([1]).status_code == 400


@pytest.mark.parametrize("body", [b"", b"no json", b"[1", b'"text"', b"1", b"null", b'{"a": NaN}', b"\xff\xfe{}", b'{"a": "\\ud800"}'])
def test_what_is_no_json_object_is_refused_and_told_with_the_source(doorstep: Doorstep, body: bytes):
    answer = doorstep.send(body)
    assert answer.status_code == 400
    assert answer.json()["code"] == "input.malformed"
    assert doorstep.send(posthog()).status_code == 202  # the note of the refusal goes along with it
    hour = doorstep.hour()
    assert (hour.arrived, hour.refused) == (1, 1)
    assert hour.refusal


def test_a_body_may_nest_32_levels_and_no_more(doorstep: Doorstep):
    def nested(levels: int) -> bytes:
        return b'{"a":' * (levels - 1) + b"{}" + b"}" * (levels - 1)

    assert doorstep.send(nested(DEEPEST)).status_code == 202
    assert doorstep.send(nested(DEEPEST + 1)).status_code == 400
    assert doorstep.send(b"[" * 100_000).status_code == 400
    assert doorstep.send([{"a": [[1] * 3] * 50}]).status_code == 202  # many brackets, not deep


def test_a_body_may_have_a_megabyte_and_no_more(doorstep: Doorstep):
    room = LARGEST - len(json.dumps(posthog(note="")))
    assert doorstep.send(posthog(note="x" * room)).status_code == 202
    answer = doorstep.send(posthog(2, note="x" * (room + 1)))
    assert (answer.status_code, answer.json()["code"]) == (413, "input.too_large")


def test_an_address_that_nothing_has_is_not_there(doorstep: Doorstep):
    wrong = doorstep.token[:-1] + ("A" if doorstep.token[-1] != "A" else "B")
    assert doorstep.send(posthog(), token=wrong).status_code == 404
    assert doorstep.send(posthog(), token="short").status_code == 404  # the application's answer
    assert doorstep.log() == []


def test_whoever_tries_many_addresses_is_sent_away_and_the_right_one_still_works(doorstep: Doorstep):
    assert doorstep.send(posthog()).status_code == 202
    found = [doorstep.send(posthog(), token=f"{number:043d}").status_code for number in range(STRANGERS + 3)]
    assert found == [404] * STRANGERS + [429] * 3
    assert doorstep.send(posthog(2)).status_code == 202


def test_a_rotated_address_ends_after_its_grace(doorstep: Doorstep, clock: Clock):
    with doorstep.store.transaction() as tx:
        _, fresh = inbound.rotate(tx, "posthog", grace=timedelta(minutes=10), actor="ada")
    assert doorstep.send(posthog(1)).status_code == 202
    assert doorstep.send(posthog(2), token=fresh).status_code == 202
    clock.advance(timedelta(minutes=10))
    answer = doorstep.send(posthog(3))
    assert (answer.status_code, answer.json()["code"]) == (410, "source.gone")
    assert doorstep.send(posthog(4), token=fresh).status_code == 202


def test_a_source_that_is_off_takes_nothing(doorstep: Doorstep):
    with doorstep.store.transaction() as tx:
        inbound.switch(tx, "posthog", "off", actor="ada")
    answer = doorstep.send(posthog())
    assert (answer.status_code, answer.json()["code"]) == (410, "source.off")


def test_only_post_is_taken(doorstep: Doorstep):
    answer = doorstep.send(posthog(), method="PUT")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


def signed(doorstep: Doorstep, body: bytes, clock: Clock, secret: str = SECRET, **changed: str) -> httpx.Response:
    at = clock.now
    told = {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": Webhook(secret).sign("msg_1", at, body.decode()),
    }
    return doorstep.send(body, **(told | {name.replace("_", "-"): value for name, value in changed.items()}))


def test_a_signed_source_takes_what_is_signed_within_five_minutes(doorstep: Doorstep, clock: Clock):
    with doorstep.store.transaction() as tx:
        inbound.sign(tx, "posthog", SECRET, actor="ada")
    body = json.dumps(posthog()).encode()
    assert signed(doorstep, body, clock).status_code == 202
    assert doorstep.send(body).status_code == 401
    assert signed(doorstep, body, clock, secret="whsec_" + "b" * 40).status_code == 401
    old = str(int((clock.now - timedelta(minutes=6)).timestamp()))
    assert signed(doorstep, body, clock, webhook_timestamp=old).status_code == 401
    replay = {
        "webhook-id": "m",
        "webhook-timestamp": str(int(clock.now.timestamp())),
        "webhook-signature": Webhook(SECRET).sign("m", clock.now, body.decode()),
    }
    clock.advance(timedelta(minutes=5, seconds=1))
    assert doorstep.send(body, **replay).json()["code"] == "webhook.signature_invalid"


def test_every_answer_has_a_request_s_id_and_the_protective_headers(doorstep: Doorstep):
    for answer in (doorstep.send(posthog()), doorstep.send(b"no"), doorstep.send(posthog(), token="A" * 43)):
        assert answer.headers["x-request-id"].startswith("req_")
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"
        assert "default-src 'none'" in answer.headers["content-security-policy"]
    problem = doorstep.send(b"no", **{"X-Request-Id": "mine-and-long"}).json()
    assert problem["request_id"] == "mine-and-long"
    assert set(problem) >= {"type", "title", "status", "detail", "code", "fix", "errors"}


def test_a_page_that_has_pointed_its_name_here_cannot_send(doorstep: Doorstep):
    assert doorstep.send(posthog(), Host="evil.example").status_code == 421


def test_what_is_not_for_it_goes_on_to_the_application(doorstep: Doorstep):
    async def ask() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=doorstep.inbound), base_url="http://127.0.0.1:8321") as client:  # ty: ignore[invalid-argument-type]
            return await client.get("/healthz")

    assert asyncio.run(ask()).json() == {"status": "ok"}


def test_while_others_hold_the_database_events_go_into_the_spool_and_from_there_into_the_log(doorstep: Doorstep):
    assert doorstep.send(posthog(0)).status_code == 202
    with locked(doorstep.store):
        answers = doorstep.send_all([posthog(number) for number in range(1, 30)])
        assert {one.status_code for one in answers} == {202}
        assert doorstep.intake.tally.spooled == 29
    while not doorstep.intake.spool.empty:
        time.sleep(0.01)
    assert len(doorstep.log()) == 30


def test_with_no_room_left_the_sender_is_asked_to_come_again_and_never_told_of_a_fault(doorstep: Doorstep):
    doorstep.intake.spool._largest = 5000
    with locked(doorstep.store):
        answers = doorstep.send_all([posthog(number) for number in range(40)])
    assert {one.status_code for one in answers} <= {202, 429}
    refused = [one for one in answers if one.status_code == 429]
    assert refused
    assert all(one.headers["retry-after"] == "2" and one.json()["code"] == "source.overloaded" for one in refused)


def test_nothing_of_a_body_lies_in_the_clear_anywhere(doorstep: Doorstep, tmp_path: Path, database_dir: Path, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.WARNING, "httpx")  # which is the sender
    doorstep.send(posthog())
    doorstep.send(b'{"canary": 1')
    with locked(doorstep.store):
        doorstep.send(posthog(2))
        assert not doorstep.intake.spool.empty
        files = [path for place in (tmp_path, database_dir) for path in place.rglob("*") if path.is_file()]
        assert any(path.suffix == ".jsonl" for path in files)
        assert not [path for path in files if b"canary@" in path.read_bytes() or b'"canary"' in path.read_bytes()]
    assert "canary@" not in every_text(doorstep.store)
    assert "canary" not in caplog.text
    assert doorstep.token not in caplog.text


def test_whatever_is_sent_is_taken_or_refused_and_never_breaks_anything(doorstep: Doorstep):
    drawn = Random(7)
    pieces = [
        b"{",
        b"}",
        b"[",
        b"]",
        b'"',
        b":",
        b",",
        b"1e999",
        b"null",
        b"\x00",
        b"\xf0\x9f\x92\xa9",
        b"\\ud800",
        b'"event"',
        b'"uuid"',
        b'"batch"',
        b"-",
    ]
    bodies = [b"".join(drawn.choices(pieces, k=drawn.randint(0, 30))) for _ in range(300)]
    bodies += [json.dumps(posthog(number))[: drawn.randint(1, 400)].encode() for number in range(100)]
    bodies += [
        json.dumps({"event": {"uuid": value, "event": value, "distinct_id": value}}).encode() for value in (None, 1, [], {}, "x" * 5000, True, -0.0)
    ]
    assert {one.status_code for one in doorstep.send_all(bodies)} <= {202, 400}
