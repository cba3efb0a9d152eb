"""Requests that are sent again under an Idempotency-Key."""

from datetime import timedelta

import pytest
from litestar.testing import TestClient

from beton.errors import Conflict
from beton.roles import Permission
from beton.store import kept_answers, routes
from beton.store.records import Connection
from beton.store.store import Store
from tests.web.access.people import program
from tests.web.steps import definition, kept, rows_of

HOOK = {"name": "crm", "url": "https://hooks.example.com/x"}


@pytest.fixture
def ada(stranger: TestClient, store: Store):
    return program(stranger, store, *Permission)


def test_a_repeated_request_is_done_once_and_answered_twice(ada, store: Store):
    headers = {"Idempotency-Key": "one"}
    first, second = (ada.ask("POST", "/api/v1/routes", json=HOOK, headers=headers) for _ in range(2))
    assert first.status_code == second.status_code == 201
    assert first.text == second.text  # the secret too, which is shown once
    assert first.headers["content-type"] == second.headers["content-type"]
    assert "idempotency-replayed" not in first.headers
    assert second.headers["idempotency-replayed"] == "true"
    with store.reading() as tx:
        assert len(routes.every(tx)) == 1


def test_headers_come_again_too(ada, connection: Connection):
    asked = {"connection": "shop", "definition": definition(days=3)}
    first, second = (ada.ask("POST", "/api/v1/hypotheses", json=asked, headers={"Idempotency-Key": "h"}) for _ in range(2))
    assert [first.headers[name] for name in ("location", "etag")] == [second.headers[name] for name in ("location", "etag")]


def test_a_key_for_another_request_is_refused(ada, store: Store, connection: Connection):
    headers = {"Idempotency-Key": "one"}
    ada.ask("POST", "/api/v1/routes", json=HOOK, headers=headers)
    for path, body in (("/api/v1/routes", HOOK | {"name": "other"}), (f"/api/v1/hypotheses/{kept(store, connection).id}/approve", HOOK)):
        answer = ada.ask("POST", path, json=body, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (422, "input.idempotency_key")


def test_keys_of_two_callers_are_two_keys(ada, stranger: TestClient, store: Store):
    eve = program(stranger, store, *Permission)
    headers = {"Idempotency-Key": "one"}
    assert ada.ask("POST", "/api/v1/routes", json=HOOK, headers=headers).status_code == 201
    assert eve.ask("POST", "/api/v1/routes", json=HOOK, headers=headers).json()["code"] == "conflict.name_taken"


def test_while_the_first_is_under_way_the_second_waits(store: Store, clock):
    with store.transaction() as tx:
        assert kept_answers.begin(tx, "key_a", "one", "asked") is None
        with pytest.raises(Conflict) as refused:
            kept_answers.begin(tx, "key_a", "one", "asked")
        assert refused.value.code == "conflict.in_flight"
    clock.advance(timedelta(minutes=6))  # its server was stopped
    with store.transaction() as tx:
        assert kept_answers.begin(tx, "key_a", "one", "asked") is None


def test_a_refusal_is_not_kept(ada, store: Store, connection: Connection):
    headers = {"Idempotency-Key": "one"}
    assert ada.ask("POST", "/api/v1/backtests", json={"connection": "shop"}, headers=headers).status_code == 422
    kept(store, connection)
    assert ada.ask("POST", "/api/v1/backtests", json={"connection": "shop"}, headers=headers).status_code == 202


@pytest.mark.parametrize("key", ["", "with space", "x" * 256])
def test_a_key_without_form_is_refused(ada, key: str):
    assert ada.ask("POST", "/api/v1/routes", json=HOOK, headers={"Idempotency-Key": key}).status_code == 422


def test_the_answer_is_kept_sealed_for_a_day(ada, store: Store, clock):
    secret = ada.ask("POST", "/api/v1/routes", json=HOOK, headers={"Idempotency-Key": "one"}).json()["secret"]
    (row,) = rows_of(store, "kept_answer")
    assert row["answer_sealed"].startswith("v1.")
    assert secret not in repr(row)
    clock.advance(timedelta(hours=25))
    with store.transaction() as tx:
        assert kept_answers.drop_old(tx) == 1
