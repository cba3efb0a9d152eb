"""The message says what was found, promises what was approved, and is the same bytes every time."""

import json
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import jsonschema
import pytest
from pydantic import ValidationError

from backtest import published
from backtest.language import Goal
from beton.errors import Conflict
from beton.routing.payloads import (
    MOST_RECEIPTS,
    Account,
    Promise,
    body_bytes,
    schema_text,
    signal_payload,
    status_payload,
    status_schema_text,
)
from beton.signals import Notice, Receipt, signal_type
from tests.routing.fakes import RESULT, SENTENCE, START, a_signal

SCHEMA = Path(__file__).parents[2] / "docs" / "reference" / "signal.schema.json"
STATUS_SCHEMA = SCHEMA.with_name("status.schema.json")


def payload(**changes):
    return signal_payload(a_signal(**changes), sentence=SENTENCE, backtest=RESULT)


def test_the_message_has_the_documented_keys_and_values():
    assert payload() == {
        "type": "signal.created",
        "signal_id": "sig_1",
        "signal_type": "pql",
        "confidence": 0.71,
        "confidence_reason": None,
        "source": "posthog",
        "hypothesis_id": "hyp_1",
        "hypothesis_version": 2,
        "hypothesis": SENTENCE,
        "unit": {"kind": "person", "id": "person-1"},
        "account": None,
        "occurrence": 1,
        "fired_at": "2026-03-02T09:26:00.123456Z",
        "detected_at": "2026-03-02T09:30:00.123456Z",
        "events": [{"name": "teammate_invited", "id": "e-1", "at": "2026-03-02T09:26:00.123456Z"}],
        "events_total": 1,
        "enrichment": {},
        "backtest": {key: RESULT[key] for key in RESULT if key != "population"},
        "links": {},
        "owner": None,
        "text": None,
    }


def test_a_message_is_valid_against_the_shipped_schema():
    schema = json.loads(SCHEMA.read_text())
    whole = signal_payload(
        a_signal(unit_kind="account", confidence=None, unit_id="acme"),
        sentence=SENTENCE,
        account=Account(name="Acme Corp", domain="acme.com"),
        enrichment={"company_size": "50-200"},
        links={"signal": "https://beton.example.com/signals/sig_1"},
    )

    for message in (payload(), whole):
        jsonschema.validate(message, schema, format_checker=jsonschema.FormatChecker())
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(whole | {"confidence": 7}, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({key: value for key, value in whole.items() if key != "hypothesis_id"}, schema)


def test_the_shipped_schema_is_the_one_of_the_code():
    remedy = "python -c \"from beton.routing.payloads import schema_text; print(schema_text(), end='')\" > docs/reference/signal.schema.json"
    assert SCHEMA.read_text() == schema_text(), f"run: {remedy}"


def test_receivers_may_meet_fields_that_a_later_version_adds():
    jsonschema.validate(payload() | {"sequence": 5}, json.loads(SCHEMA.read_text()))


def test_a_confidence_that_cannot_be_told_is_null_with_a_reason():
    thin = RESULT | {"precision": None, "insufficient": {"reason": "needs at least 20 fires with a complete horizon, has 3", "missing": []}}

    told = signal_payload(a_signal(confidence=None), sentence=SENTENCE, backtest=thin)
    untested = signal_payload(a_signal(confidence=None), sentence=SENTENCE)

    assert (told["confidence"], told["confidence_reason"]) == (None, "needs at least 20 fires with a complete horizon, has 3")
    assert (untested["backtest"], untested["confidence_reason"]) == (None, "the hypothesis was approved without a backtest")
    with pytest.raises(ValidationError):
        signal_payload(a_signal(confidence=float("nan")), sentence=SENTENCE)


def test_every_field_of_the_promise_is_one_the_engine_publishes():
    assert published.__doc__
    assert set(Promise.model_fields) <= set(RESULT)


def test_the_bytes_depend_on_nothing_but_the_signal():
    elsewhere = timezone(timedelta(hours=5))
    there = a_signal(fired_at=(START - timedelta(minutes=4)).astimezone(elsewhere), detected_at=START.astimezone(elsewhere))
    shuffled = dict(reversed(list(RESULT.items())))

    assert body_bytes(signal_payload(there, sentence=SENTENCE, backtest=shuffled)) == body_bytes(payload())
    assert body_bytes(payload()).startswith(b'{"account":null,"backtest":{"lift_vs_baseline":4.3,')


def test_receipts_are_in_order_and_the_last_ones_are_kept():
    many = tuple(Receipt(event="ping", at=datetime(2026, 3, 1, tzinfo=UTC) + timedelta(seconds=i), event_id=str(i)) for i in range(120))

    message = payload(receipts=tuple(reversed(many)))

    assert [one["id"] for one in message["events"]] == [str(i) for i in range(120 - MOST_RECEIPTS, 120)]
    assert message["events_total"] == 120
    assert len(body_bytes(message)) < 20_000


def test_every_goal_has_a_name_for_sales():
    assert {goal.value: signal_type(goal) for goal in Goal} == {
        "converts": "pql",
        "expands": "expansion",
        "churns": "churn_risk",
        "returns": "custom",
        "custom": "custom",
    }
    assert signal_type("converts", {"age", "did"}) == "trial"
    assert signal_type("custom", {"trend"}) == "spike"
    assert signal_type("expands", {"trend"}) == "expansion"


def test_nobody_is_told_about_an_erased_unit():
    with pytest.raises(Conflict) as refused:
        payload(unit_id=None)
    assert refused.value.code == "conflict.unit_erased"


def test_a_change_of_status_says_what_was_done_to_which_version_by_whom():
    notice = Notice(
        id="ntc_1",
        hypothesis_id="hyp_1",
        hypothesis_version=2,
        row_version=7,
        sentence=SENTENCE,
        was="proposed",
        became="approved",
        action="approve",
        actor="ada",
        reason=None,
        at=START.astimezone(timezone(timedelta(hours=2))),
    )

    told = status_payload(notice)

    assert told == {
        "type": "hypothesis.status_changed",
        "notice_id": "ntc_1",
        "hypothesis_id": "hyp_1",
        "hypothesis": SENTENCE,
        "version": 2,
        "row_version": 7,
        "from": "proposed",
        "to": "approved",
        "action": "approve",
        "actor": "ada",
        "reason": None,
        "at": START.isoformat().replace("+00:00", "Z"),
    }
    schema = json.loads(STATUS_SCHEMA.read_text())
    jsonschema.validate(told | {"later": 1}, schema, format_checker=jsonschema.FormatChecker())
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(told | {"to": "gone"}, schema)
    assert STATUS_SCHEMA.read_text() == status_schema_text()
