"""Settings: a bar that judges anew at once, people and keys, the installation, and the audit log with its chain."""

import re

import sqlalchemy as sa

from beton.lifecycle import Status
from beton.roles import Permission, Role
from beton.store import api_keys, audit, members
from beton.store.hypothesis_lists import Wanted, count_by_verdict
from tests.web.pages.conftest import read


def clearing(store) -> int:
    with store.reading() as tx:
        return count_by_verdict(tx, Wanted(statuses=(Status.PROPOSED,)))["clears"]


def test_another_bar_judges_everything_at_once(ada, store, proposed):
    assert clearing(store) == 4
    answer = ada.post("/settings/bar", {"min_lift_low": "2.2", "min_recall": "", "max_q": "0,05"})
    text = read(answer).text
    assert "7 results judged anew: 2 clear it now, 4 did before." in text
    assert clearing(store) == 2
    assert read(answer).all("input", name="min_lift_low", value="2.2")
    assert read(answer).all("input", name="min_recall", value="", placeholder="0.05")
    with store.reading() as tx:
        assert audit.entries(tx, limit=1)[0].after == {"bar": {"min_lift_low": 2.2, "max_q": 0.05}}
    ada.post("/settings/bar", {"whose": "installation"})
    assert clearing(store) == 4
    assert "The installation's bar is in force." in read(ada.get("/settings")).text


def test_a_bar_that_is_none_is_told_at_its_field(ada, store, proposed):
    answer = ada.post("/settings/bar", {"min_lift_low": "2", "max_q": "7"})
    assert answer.status_code == 422
    assert read(answer).all("input", name="max_q", value="7", **{"aria-invalid": "true"})
    assert clearing(store) == 4


def test_who_may_not_change_the_bar_may_look_at_it(reviewer, proposed):
    page = read(reviewer.get("/settings"))
    assert "Only admins change it." in page.text
    assert reviewer.post("/settings/bar", {"min_lift_low": "1"}).status_code == 403


def test_somebody_is_invited_by_a_link_that_is_shown_once(ada, store):
    answer = ada.post("/settings/people", {"email": "Grace@Example.com", "role": "reviewer"})
    link = re.search(r"http://127\.0\.0\.1:8321/link/([\w-]+)", answer.text)
    assert link
    assert link[1] not in ada.get("/settings/people").text
    assert "grace@example.com" in ada.get("/settings/people").text
    assert ada.client.get(f"/link/{link[1]}").status_code == 200
    assert ada.post("/settings/people", {"email": "ada@example.com", "role": "viewer"}).status_code == 409
    assert ada.post("/settings/people", {"email": "nobody", "role": "viewer"}).status_code == 422


def test_roles_change_and_the_last_admin_stays(ada, sales, store):
    assert ada.post(f"/settings/people/{sales.id}/role", {"role": "viewer"}).status_code == 303
    with store.reading() as tx:
        assert members.get(tx, sales.id).role is Role.VIEWER
    assert ada.post(f"/settings/people/{ada.id}/role", {"role": "viewer"}).status_code == 409
    assert ada.post(f"/settings/people/{sales.id}/remove").status_code == 422
    assert ada.post(f"/settings/people/{sales.id}/remove", {"sure": "yes"}).status_code == 303
    assert sales.get("/review").status_code == 303
    assert sales.get("/review").headers["location"].startswith("/sign-in")


def test_a_key_is_made_shown_once_and_revoked(ada, viewer, store):
    answer = ada.post("/settings/keys", {"name": "export", "scopes": ["read", "read_signals"]})
    secret = re.search(r"btn_[\w-]{49}", answer.text)
    assert secret
    assert secret[0] not in ada.get("/settings/people").text
    held = api_keys.holder(store, secret[0])
    assert held is not None
    assert set(held[1].scopes) == {Permission.READ, Permission.READ_SIGNALS}
    assert ada.post(f"/settings/keys/{held[1].id}/revoke").status_code == 303
    assert api_keys.holder(store, secret[0]) is None
    assert ada.post("/settings/keys", {"name": "nothing"}).status_code == 422
    assert "Keys for programs" not in viewer.get("/settings/people").text


def test_the_audit_log_is_read_and_its_chain_checked(ada, reviewer, store, proposed, desk):
    page = read(ada.get("/settings/audit"))
    assert "The chain holds." in page.text
    assert "hypothesis.approve" in page.text
    assert "canary" not in ada.get("/settings/audit").text
    one = read(ada.get(f"/settings/audit?object_id={desk.routes[0].id}"))
    assert len([row for row in one.all("tr") if "data-item" in row]) == 1
    assert reviewer.get("/settings/audit").status_code == 403
    assert "Audit log" not in read(reviewer.get("/settings")).text


def test_a_broken_chain_is_told(ada, store, desk):
    with store.engine.begin() as connection:
        for trigger in (
            connection.execute(sa.text("SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'audit_entry'")).scalars().all()
        ):
            connection.execute(sa.text(f"DROP TRIGGER {trigger}"))
        connection.execute(sa.text("UPDATE audit_entry SET actor = 'mallory' WHERE number = 2"))
    assert "The chain is broken at entry 2." in read(ada.get("/settings/audit")).text


def test_the_installation_is_told_without_secrets(viewer):
    text = read(viewer.get("/settings/installation")).text
    for told in ("No model takes part", "every 5 minutes", "Audit log for ever", "30 days"):
        assert told in text, told
