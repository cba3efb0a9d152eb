"""Decisions over HTTP: the lifecycle's table, stale versions, races, and one audit log whichever way a decision comes in."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import Any

import pytest

from beton.lifecycle import TRANSITIONS, Action, Status, allowed
from beton.store import api_keys
from beton.store.records import Connection
from beton.store.store import Store
from beton.work.deciding import decide
from beton.work.workplace import Workplace
from tests.web.contract import Contract
from tests.web.steps import kept, result, rows_of

OFFERED = tuple(action for action in Action if action not in (Action.PROPOSE, Action.REVISE))


def body_for(action: Action, until: str = "2026-04-01T09:00:00Z") -> dict[str, Any]:
    """What an action asks for besides the version."""
    return {Action.REJECT: {"reason": "We knew that."}, Action.SNOOZE: {"until": until}}.get(action, {})


def test_every_action_from_every_status_does_what_the_table_says(api: Contract, store: Store, connection: Connection):
    numbers = iter(range(1, 100))
    for status in Status:
        for action in OFFERED:
            row = kept(store, connection, days=next(numbers), status=status, tested=result())
            response = api.post(f"hypotheses/{row.id}/{action}", body_for(action) | {"row_version": row.row_version})
            following = TRANSITIONS.get((status, action))
            told = response.json()
            if following is None:
                assert (response.status_code, told["code"]) == (409, "conflict.transition")
                assert told["details"]["allowed"] == [str(one) for one in allowed(status)]
                assert api.get(f"hypotheses/{row.id}").json()["status"] == status
            else:
                assert (response.status_code, told["status"]) == (200, following)
                assert response.headers["etag"] == f'"{row.row_version + 1}"'
                assert told["row_version"] == row.row_version + 1


@pytest.mark.parametrize("by_header", [True, False])
def test_a_stale_version_is_a_conflict_and_changes_nothing(api: Contract, store: Store, connection: Connection, by_header: bool):
    for days, action in enumerate(OFFERED, 1):
        start = next(status for status in Status if action in allowed(status))
        row = kept(store, connection, days=days, status=start, tested=result())
        for stale in (row.row_version - 1, row.row_version + 1):
            if stale < 1:
                continue
            version = {"headers": {"If-Match": f'"{stale}"'}} if by_header else {}
            body = body_for(action) | ({} if by_header else {"row_version": stale})
            response = api.post(f"hypotheses/{row.id}/{action}", body, **version)
            assert (response.status_code, response.json()["code"]) == (409, "conflict.stale_version")
        assert api.get(f"hypotheses/{row.id}").json()["row_version"] == row.row_version


def test_a_decision_that_is_sent_twice_is_done_once(api: Contract, store: Store, connection: Connection):
    row = kept(store, connection, tested=result())
    first, second = (api.post(f"hypotheses/{row.id}/approve", {"row_version": row.row_version}) for _ in range(2))
    assert first.status_code == 200
    assert (second.status_code, second.json()["code"]) == (409, "conflict.stale_version")
    assert len([one for one in rows_of(store, "audit_entry") if one["action"] == "hypothesis.approve"]) == 1


def test_without_a_version_it_is_about_what_is_there(api: Contract, store: Store, connection: Connection):
    row = kept(store, connection, tested=result())
    assert api.post(f"hypotheses/{row.id}/approve").json()["status"] == "approved"
    assert api.post(f"hypotheses/{row.id}/pause", headers={"If-Match": "*"}).json()["status"] == "paused"
    assert api.post(f"hypotheses/{row.id}/resume", {}).json()["status"] == "approved"
    again = api.post(f"hypotheses/{row.id}/approve")
    assert (again.status_code, again.json()["code"]) == (409, "conflict.transition")


def test_an_etag_may_be_written_in_every_usual_way(api: Contract, store: Store, connection: Connection):
    for days, spelled in enumerate(('"{}"', "{}", 'W/"{}"', ' "{}" '), 1):
        row = kept(store, connection, days=days, tested=result())
        response = api.post(f"hypotheses/{row.id}/approve", headers={"If-Match": spelled.format(row.row_version)})
        assert response.status_code == 200, spelled
    for wrong in ('"a"', '"1", "2"', '""', "-1", '"99999999999"', ""):
        assert api.post(f"hypotheses/{row.id}/pause", headers={"If-Match": wrong}).status_code == 422, wrong


def test_two_versions_in_one_request_are_refused(api: Contract, store: Store, connection: Connection):
    row = kept(store, connection, tested=result())
    response = api.post(f"hypotheses/{row.id}/approve", {"row_version": row.row_version}, headers={"If-Match": '"9"'})
    assert (response.status_code, response.json()["errors"][0]["pointer"]) == (422, "/row_version")


@pytest.mark.parametrize(("first", "second"), [("approve", "reject"), ("approve", "approve"), ("reject", "snooze")])
def test_of_two_who_decide_at_once_exactly_one_wins(api: Contract, store: Store, connection: Connection, first: str, second: str):
    for days in range(1, 6):
        row = kept(store, connection, days=days, tested=result())
        together = Barrier(2)

        def ask(action: str, row=row, together=together) -> tuple[int, str]:
            together.wait()
            response = api.post(f"hypotheses/{row.id}/{action}", body_for(Action(action)) | {"row_version": row.row_version})
            return response.status_code, response.json().get("code", "")

        with ThreadPoolExecutor(2) as pool:
            answers = sorted(pool.map(ask, (first, second)))
        assert answers == [(200, ""), (409, "conflict.stale_version")]
        decisions = [one for one in rows_of(store, "audit_entry") if one["object_id"] == row.id and one["action"] != "hypothesis.add"]
        assert len(decisions) == 2  # it was proposed before


@pytest.mark.parametrize("tested", [None, result(lift_low=1.1), result(insufficient=True)])
def test_an_approval_below_the_bar_needs_a_reason(api: Contract, store: Store, connection: Connection, tested: dict | None):
    row = kept(store, connection, tested=tested)
    for override in (None, " "):
        refused = api.post(f"hypotheses/{row.id}/approve", {"row_version": row.row_version, "override_reason": override})
        assert (refused.status_code, refused.json()["code"]) == (409, "conflict.below_the_bar")
    done = api.post(f"hypotheses/{row.id}/approve", {"row_version": row.row_version, "override_reason": "Sales asked for it."})
    assert done.json()["status"] == "approved"
    newest = api.get(f"hypotheses/{row.id}/history").json()["data"][0]
    assert newest["after"]["override_reason"] == "Sales asked for it."


def test_a_rejection_needs_a_reason_and_a_snooze_a_future_date(api: Contract, store: Store, connection: Connection):
    row = kept(store, connection)
    for action, body in (
        ("reject", {}),
        ("reject", {"reason": ""}),
        ("reject", {"reason": "  "}),
        ("snooze", {}),
        ("snooze", {"until": "2020-01-01T00:00:00Z"}),
        ("snooze", {"until": "2026-04-01T00:00:00"}),
        ("snooze", {"until": "9999-12-31T23:59:59-23:59"}),
        ("snooze", {"until": "soon"}),
    ):
        assert api.post(f"hypotheses/{row.id}/{action}", body).status_code == 422, (action, body)
    assert api.post(f"hypotheses/{row.id}/reject").status_code == 422
    assert api.get(f"hypotheses/{row.id}").json()["row_version"] == row.row_version


def test_a_decision_leaves_the_same_traces_by_whichever_way_it_comes(api: Contract, place: Workplace, store: Store, connection: Connection):
    with store.reading() as tx:
        (key,) = api_keys.every(tx)
    actor = f"Ada ({key.id})"
    more: dict[Action, dict[str, Any]] = {
        Action.APPROVE: {"override_reason": "Sales asked for it."},
        Action.REJECT: {"reason": "We knew that."},
    }
    for days, action in enumerate((one for one in OFFERED if one is not Action.SNOOZE), 1):
        start = next(status for status in Status if action in allowed(status))
        by_api, by_hand = (kept(store, connection, days=days + shift, status=start, tested=result(lift_low=1.1)) for shift in (0, 50))
        api.post(f"hypotheses/{by_api.id}/{action}", more.get(action, {}) | {"row_version": by_api.row_version})
        decide(place, by_hand.id, action, actor=actor, expected_row_version=by_hand.row_version, **more.get(action, {}))
        entries = [
            {**one, "id": 0, "object_id": "", "number": 0, "chain": ""}
            for one in rows_of(store, "audit_entry")
            if one["action"] == f"hypothesis.{action}"
        ][-2:]
        assert entries[0] == entries[1]
        assert entries[0]["actor"] == actor
        unlike = {"id", "newest_backtest_id", "name", "fingerprint", "definition", "sentence"}
        rows = {row["id"]: {k: v for k, v in row.items() if k not in unlike} for row in rows_of(store, "hypothesis")}
        assert rows[by_api.id] == rows[by_hand.id]


def test_a_snooze_is_kept_with_its_date_in_utc(api: Contract, store: Store, connection: Connection, clock):
    row = kept(store, connection)
    api.post(f"hypotheses/{row.id}/snooze", {"until": "2026-04-01T09:00:00+02:00"})
    (found,) = rows_of(store, "hypothesis")
    assert found["snoozed_until"].isoformat() == "2026-04-01T07:00:00+00:00"
    assert found["snoozed_until"] > clock() + timedelta(days=20)


def test_what_does_not_exist_cannot_be_decided_on(api: Contract):
    for action in OFFERED:
        for unknown in ("hyp_aaaaaaaaaaaaaaaaaaaa", "nonsense", "..", "%20", "0"):
            assert api.post(f"hypotheses/{unknown}/{action}", body_for(action)).status_code == 404


def test_the_last_decision_is_told(api: Contract, store: Store, connection: Connection):
    draft = api.get(f"hypotheses/{kept(store, connection, days=1, status=Status.DRAFT).id}").json()
    assert [draft[name] for name in ("decided_by", "decided_at", "rejected_reason", "snoozed_until")] == [None] * 4
    row = kept(store, connection)
    told = api.get(f"hypotheses/{row.id}").json()
    assert told["connection_id"] == connection.id
    snoozed = api.post(f"hypotheses/{row.id}/snooze", {"until": "2026-04-01T09:00:00+02:00", "row_version": told["row_version"]}).json()
    assert (snoozed["status"], snoozed["snoozed_until"], snoozed["decided_at"]) == ("snoozed", "2026-04-01T07:00:00Z", "2026-03-02T09:30:00.123456Z")
    assert snoozed["decided_by"].startswith("Ada (key_")
    rejected = api.post(f"hypotheses/{row.id}/reject", {"reason": "Known already."}).json()
    assert (rejected["rejected_reason"], rejected["snoozed_until"]) == ("Known already.", None)
