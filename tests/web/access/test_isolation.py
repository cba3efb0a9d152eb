"""Workspace by route by id, made from the routes themselves: what belongs to another workspace is not there, exactly as what never was."""

import re
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from itertools import zip_longest
from typing import Any, cast

import httpx
import pytest
import sqlalchemy as sa
from litestar import Litestar
from litestar.testing import TestClient
from sqlalchemy import event
from sqlalchemy.sql.visitors import replacement_traverse

import beton.store.prepared as prepared
from beton.lifecycle import Status
from beton.roles import Permission, Role
from beton.store import (
    alarms,
    api_keys,
    deliveries,
    hypotheses,
    inbound,
    inbound_events,
    members,
    questions,
    reach,
    routes,
    runs,
    signals,
    store,
    workspaces,
)
from beton.store.columns import new_id
from beton.store.inbound_records import Taken
from beton.store.reach import Entry
from beton.store.records import Connection, RunStatus
from beton.store.store import Store
from beton.work.mapping import DEFAULT
from beton.work.workplace import Workplace
from tests.web.access.people import Address, Somebody, addresses, member
from tests.web.contract import document
from tests.web.steps import definition, fired, kept, result

NO_ID = {
    "/link/{token:str}": "a secret that is not bound to who asks",
    "/unsubscribe/{token:str}": "a secret that only one route's mails carry",
    "/routing/new/{kind:str}": "a kind of route, the same for all",
    "/slack/{workspace:str}/{route:str}": "believed for the signature of the route's app alone",
    "/static/{digest:str}/{name:str}": "files of the program, the same for all",
    "/hypotheses/pictures/{file:str}": "a picture of what the asker's own list has",
}
"""Addresses whose parameters name nothing that belongs to a workspace."""

BESIDE = {"action": "reject", "file": "lift.svg"}
"""Parameters that stand beside an id and name nothing themselves."""

FORM = {
    "reason": "known", "comment": "x", "until": "2027-01-01T00:00", "days": "3", "override_reason": "wanted", "row_version": "1", "version": "1",
    "definition": "", "name": "x", "url": "https://hooks.example.com/x", "role": "viewer", "email": "eve@example.com", "text": "x", "other": "x",
    "connection": "", "hypothesis_id": "", "ids": "", "feedback": "worked", "answer": "kept", "percent": "5",
}  # fmt: skip
"""Fields of all forms: so much that none is refused for want of one before the thing itself is looked for."""

BODIES: dict[str, dict[str, Any]] = {
    "{route:str}": {"notices": True},
    "{hypothesis_id:str}": {"definition": definition()},
    "reject": {"reason": "known"},
    "snooze": {"until": "2027-01-01T00:00:00Z"},
    "key": {"api_key": "phx_canaryCANARYcanary"},
    "share": {"share": 0.5},
    "facts": {"text": "x"},
    "question": {"outcome": definition()["outcome"]},
    "role": {"role": "viewer"},
    "feedback": {"verdict": "worked"},
    "answer": {"answer": "kept"},
    "holdout": {"share": 0.1},
    "{source:str}": {},
    "rotate": {},
    "signature": {"signed": False},
    "rules": {},
    "destination": {"settings": {}},
    "resolve": {"arrived": True},
    "accounts": {},
}
"""By the last part of the address, where a body is needed."""


@pytest.fixture
def place(place: Workplace) -> Workplace:
    """Where the limit of requests does not end the test before its last address: the clock stands still."""
    return replace(place, settings=place.settings.model_copy(update={"requests_per_minute": 1_000_000}))


@pytest.fixture
def other(store: Store) -> Store:
    return store.of(workspaces.add(store, "Second", actor="set-up").id)


@pytest.fixture
def theirs(store: Store, connection: Connection) -> dict[str, list[str]]:
    """By the names of parameters, ids and names of things in the first workspace."""
    row = fired(store, connection)
    more = [kept(store, connection, days=days, status=status, tested=result()) for days, status in enumerate(Status, 20)]
    with store.transaction() as tx:
        run = runs.queue(tx, "backtest", connection_id=connection.id)
        runs.begin(tx, run.id)
        runs.finish(tx, run.id, RunStatus.DONE)  # or the stream of its progress would not end
        key, _ = api_keys.issue(tx, "laptop", [Permission.READ], actor="set-up")
        ada = members.add(tx, "ada@example.com", Role.SALES, actor="set-up")
        source, _ = inbound.add(tx, name="posthog", connection_id=connection.id, mapping=DEFAULT, secret=None, actor="ada")
        body = '{"event": {"event": "x", "distinct_id": "x", "timestamp": "2026-03-02T09:00:00Z"}}'
        event = inbound_events.sealed_row(tx.sealer, Taken(tx.workspace_id, source.id, connection.id, "e1", tx.now, body))
        inbound_events.keep(tx, [event])
        one = hypotheses.get(tx, row.id)
        alarm = alarms.raise_alarm(tx, one, "ask", basis="all", floor=0.3, fires=40, hits=2, log_e=6.0, last_fired_at=tx.now)
        reach.suppress(tx, "customers", [Entry("domain", "canary.com"), Entry("domain", "canary.org")], actor="ada")
        for number in (1, 2):
            reach.snooze(tx, Entry("id", f"canary {number}"), tx.now + timedelta(days=9), actor="ada")
        fact = questions.add_fact(tx, connection.id, "canary fact", actor="ada")
        return {
            "hypothesis_id": [row.id, *(one.id for one in more)],
            "connection": [connection.id, connection.name],
            "run_id": [run.id],
            "signal_id": [signals.listing(tx).data[0].id],
            "unit_key": [str(signals.key_of(tx, signals.listing(tx).data[0]))],
            "route": [routes.every(tx)[0].id, "crm"],
            "delivery_id": [deliveries.listing(tx).data[0].id],
            "suppression_id": [each.id for each in reach.suppressed(tx).data],
            "snooze_id": [each.id for each in reach.snoozes(tx)],
            "fact_id": [fact.id],
            "key_id": [key.id],
            "member": [ada.id, ada.email],
            "source": [source.id, source.name],
            "event_id": [event["id"]],
            "alarm_id": [alarm.id],
        }


def unlike(known: str) -> str:
    """An id or name of the same form that nothing has."""
    return new_id(known.partition("_")[0]) if "_" in known else f"no-{known}"


def tries(one: Address, theirs: dict[str, list[str]]) -> list[tuple[str, str]]:
    """The address filled in with what is another's, and beside it with what is nobody's."""
    assert set(one.parameters) <= {*theirs, *BESIDE}, f"say in `theirs` what the parameters of {one.path} mean"
    (name,) = [parameter for parameter in one.parameters if parameter not in BESIDE]
    return [(one.filled(BESIDE | {name: known}), one.filled(BESIDE | {name: unlike(known)})) for known in theirs[name]]


def ask(who: Somebody, one: Address, path: str) -> httpx.Response:
    if one.method in ("GET", "DELETE"):
        return who.ask(one.method, path)
    if one.path.startswith("/api/"):
        body = BODIES.get(one.path.rpartition("/")[2])
        return who.ask(one.method, path, **({} if body is None else {"json": body}))
    return who.ask(one.method, path, data=FORM)


def shape(response: httpx.Response, path: str) -> tuple[int, str, str]:
    """An answer without what the caller has sent: ids, the address, and the request's id."""
    text = response.text.replace(path, "PATH")
    for part in sorted(path.split("/"), key=len, reverse=True):  # the longest first: an id may have "api" in it
        text = text.replace(part, "ID") if len(part) > 2 else text
    text = re.sub(r"req_[0-9a-f]+", "REQUEST", text)
    return response.status_code, response.headers["content-type"], text


@contextmanager
def counted(of: Store) -> Generator[list[str]]:
    """The statements that the database is asked meanwhile."""
    asked: list[str] = []

    def note(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        asked.append(statement)

    event.listen(of.engine, "before_cursor_execute", note)
    yield asked
    event.remove(of.engine, "before_cursor_execute", note)


def with_ids(app: Litestar) -> list[Address]:
    return [one for one in addresses(app) if one.parameters and one.path not in NO_ID]


def leaks(app: Litestar, client: TestClient, own: Store, theirs: dict[str, list[str]]) -> list[str]:
    """Every address by which something of another workspace is told from what is nobody's."""
    found = []
    eve = member(client, own, Role.ADMIN)
    for one in with_ids(app):
        for foreign, nobodys in tries(one, theirs):
            with counted(own) as foreign_asked:
                answer = ask(eve, one, foreign)
            with counted(own) as nobodys_asked:
                wanted = ask(eve, one, nobodys)
            told = [(*shape(answer, foreign), *foreign_asked), (*shape(wanted, nobodys), *nobodys_asked)]
            if answer.status_code != 404 or told[0] != told[1]:
                found.append(f"{one.method} {foreign}: {[part for part in zip_longest(*told) if part[0] != part[1]] or told[0]}")
    return found


def test_two_answers_are_compared_without_their_ids_whatever_letters_these_have():
    paths = [f"/api/v1/deliveries/dlv_{letters}" for letters in ("aaaapiaaaaaaaaaaaaaa", "bbbbbbbbbbbbbbbbbbbb")]
    first, second = (shape(httpx.Response(404, json={"detail": f"There is no delivery {path[19:]}."}), path) for path in paths)
    assert first == second


def test_what_belongs_to_another_workspace_is_not_there(app: Litestar, stranger: TestClient, other: Store, theirs: dict[str, list[str]]):
    assert len(with_ids(app)) > 20
    assert leaks(app, stranger, other, theirs) == []


def test_its_own_workspace_finds_it(app: Litestar, stranger: TestClient, store: Store, theirs: dict[str, list[str]]):
    """Otherwise the test above would be content with ids that nothing has."""
    ada = member(stranger, store, Role.ADMIN)
    for one in sorted(with_ids(app), key=lambda one: ("GET", "PUT", "PATCH", "POST", "DELETE").index(one.method)):
        answers = []
        for path, _ in tries(one, theirs):
            answers.append(ask(ada, one, path))
            if answers[-1].status_code not in (403, 404, 500):
                break  # what is left is for the next address that uses one up
        else:
            assert "missing" in answers[0].text, (one, answers[0].text)


def test_no_listing_shows_anything_of_another(app: Litestar, stranger: TestClient, other: Store, theirs: dict[str, list[str]]):
    eve = member(stranger, other, Role.ADMIN)
    for one in addresses(app):
        if one.method == "GET" and not one.parameters and one.needs is not None:
            text = eve.ask("GET", one.path).text
            assert [known for several in theirs.values() for known in several if "_" in known and known in text] == [], one


def test_a_filter_by_what_is_anothers_is_a_filter_by_nothing(stranger: TestClient, other: Store, theirs: dict[str, list[str]]):
    eve = member(stranger, other, Role.ADMIN)
    known = {"cursor": theirs["signal_id"] + theirs["run_id"] + theirs["delivery_id"] + theirs["hypothesis_id"][:1], **theirs}
    tried = 0
    for path, operations in document()["paths"].items():
        names = [one["name"] for one in operations.get("get", {}).get("parameters", []) if one["in"] == "query"]
        for name in (name for name in names if "{" not in path and name in known):
            for one in known[name]:
                nobodys = unlike(one)
                answer, wanted = (eve.ask("GET", path, params={name: value}) for value in (one, nobodys))
                assert shape(answer, one) == shape(wanted, nobodys), (path, name)
                tried += 1
    assert tried > 10


def test_work_cannot_be_started_on_what_is_anothers(stranger: TestClient, other: Store, theirs: dict[str, list[str]]):
    eve = member(stranger, other, Role.ADMIN)
    asked = {"connection": theirs["connection"][0], "outcome": definition()["outcome"], "definition": definition()}
    for path, fields in (("backtests", ("connection",)), ("proposals", ("connection", "outcome")), ("hypotheses", ("connection", "definition"))):
        assert eve.ask("POST", f"/api/v1/{path}", json={field: asked[field] for field in fields}).status_code == 404


def test_without_the_criterion_this_suite_would_fail(
    app: Litestar, stranger: TestClient, other: Store, theirs: dict[str, list[str]], monkeypatch: pytest.MonkeyPatch
):
    """The mutation: the place where transactions are bound to their workspace lets everything through."""
    monkeypatch.setattr(store, "_only_of", lambda workspace_id: lambda asked: None)
    assert leaks(app, stranger, other, theirs)


def test_without_the_criterion_of_prepared_statements_this_suite_would_fail(
    app: Litestar, stranger: TestClient, other: Store, theirs: dict[str, list[str]], monkeypatch: pytest.MonkeyPatch
):
    """The same for the other place."""

    def wide(one: Any, **_: Any) -> Any:
        right = getattr(one, "right", None)
        return sa.true() if isinstance(right, sa.BindParameter) and right.key == prepared.MINE else None

    def everyones(self: store.Transaction, asked: prepared.Prepared, **values: Any) -> Any:
        return self.session.connection().execute(cast(Any, replacement_traverse)(asked.statement, {}, wide), values).all()

    monkeypatch.setattr(store.Transaction, "rows", everyones)
    assert leaks(app, stranger, other, theirs)
