"""Signing in and out: passwords, sessions, single-use links, and forged requests."""

import hashlib
from datetime import timedelta
from typing import Any

import pytest
from litestar import Litestar
from litestar.testing import TestClient

from beton.app import create_app
from beton.roles import Role
from beton.settings import Settings
from beton.store import audit, members, sessions
from beton.store.passwords import Passwords
from beton.store.records import Member
from beton.store.store import Store
from beton.web.access.hosts import Proxies
from beton.work.workplace import Workplace
from tests.web.access.people import member, program
from tests.web.conftest import FakeJobs
from tests.web.steps import rows_of

PASSWORD = "correct horse battery"
QUICK = Passwords(quick=True)


@pytest.fixture
def ada(store: Store) -> Member:
    with store.transaction() as tx:
        found = members.add(tx, "ada@example.com", Role.REVIEWER, actor="set-up", name="Ada")
        members.set_password(tx, found.id, QUICK.hash(PASSWORD), actor="set-up")
    return found


@pytest.fixture
def browser(stranger: TestClient) -> TestClient:
    stranger.follow_redirects = False
    return stranger


def sign_in(browser: TestClient, password: str = PASSWORD, email: str = "ada@example.com", **more: str):
    return browser.post("/sign-in", data={"email": email, "password": password} | more)


def whoami(browser: TestClient) -> str | None:
    answer = browser.get("/api/v1/me")
    return answer.json()["email"] if answer.status_code == 200 else None


def test_a_password_opens_a_session_that_scripts_cannot_read(browser: TestClient, ada: Member):
    assert whoami(browser) is None
    answer = sign_in(browser, next="/signals?x=1")
    assert (answer.status_code, answer.headers["location"]) == (303, "/signals?x=1")
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("beton_session=")
    assert {"httponly", "samesite=lax", "path=/"} <= {part.strip().lower() for part in cookie.split(";")}
    assert whoami(browser) == "ada@example.com"


def test_nothing_tells_a_wrong_password_from_an_unknown_address(browser: TestClient, ada: Member):
    wrong, unknown = sign_in(browser, "wrong password"), sign_in(browser, "wrong password", "eve@example.com")
    assert wrong.status_code == unknown.status_code == 401
    assert wrong.text.replace("ada@", "x@") == unknown.text.replace("eve@", "x@")
    assert "set-cookie" not in wrong.headers


def test_an_unknown_address_takes_the_same_work(store: Store, ada: Member):
    class Counting(Passwords):
        verified = 0

        def verify(self, kept: str | None, password: str) -> bool:
            self.verified += 1
            return super().verify(kept, password)

    counting = Counting(quick=True)
    for email in ("ada@example.com", "eve@example.com", "not an address"):
        assert members.with_password(store, email, "wrong", counting) is None
    assert counting.verified == 3


def test_only_the_hash_of_a_session_is_kept(browser: TestClient, store: Store, ada: Member):
    sign_in(browser)
    token = browser.cookies["beton_session"]
    (row,) = rows_of(store, "session")
    assert row["digest"] == hashlib.sha256(token.encode()).hexdigest()
    assert token not in repr([rows_of(store, table) for table in ("session", "audit_entry", "member", "account")])
    (account,) = rows_of(store, "account")
    assert account["password_hash"].startswith("$argon2id$")


def test_each_sign_in_makes_a_new_session_and_ends_the_one_before(browser: TestClient, store: Store, ada: Member):
    sign_in(browser)
    first = browser.cookies["beton_session"]
    sign_in(browser)
    assert browser.cookies["beton_session"] != first
    assert len(rows_of(store, "session")) == 1


def test_a_session_ends_when_unused_and_in_any_case_after_some_days(browser: TestClient, store: Store, ada: Member, clock):
    sign_in(browser)
    for _ in range(13):
        clock.advance(timedelta(hours=23))
        assert whoami(browser) == "ada@example.com"
    clock.advance(timedelta(hours=25))
    assert whoami(browser) is None
    sign_in(browser)
    for _ in range(14 * 24 // 20):
        clock.advance(timedelta(hours=20))
        whoami(browser)
    clock.advance(timedelta(hours=20))
    assert whoami(browser) is None
    with store.transaction() as tx:
        sessions.drop_ended(tx, timedelta(days=1))
    assert rows_of(store, "session") == []


def test_signing_out_ends_this_session_or_all(browser: TestClient, store: Store, ada: Member):
    elsewhere = member(browser, store, Role.REVIEWER)
    somebody = member(browser, store, Role.REVIEWER)
    answer = somebody.ask("POST", "/sign-out")
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in")
    assert "max-age=0" in answer.headers["set-cookie"].lower()
    assert somebody.ask("GET", "/api/v1/me").status_code == 401
    assert elsewhere.ask("GET", "/api/v1/me").status_code == 200
    third = member(browser, store, Role.REVIEWER)
    third.ask("POST", "/sign-out/everywhere")
    assert elsewhere.ask("GET", "/api/v1/me").status_code == third.ask("GET", "/api/v1/me").status_code == 401


def test_who_is_put_out_or_changed_is_so_at_the_next_request(browser: TestClient, store: Store, ada: Member):
    sign_in(browser)
    with store.transaction() as tx:
        members.change_role(tx, ada.id, Role.VIEWER, actor="root")
    assert browser.get("/api/v1/me").json()["role"] == "viewer"
    with store.transaction() as tx:
        members.remove(tx, ada.id, actor="root")
    assert whoami(browser) is None


def test_guessing_is_slowed_per_account_and_per_address(browser: TestClient, ada: Member, clock):
    for _ in range(10):
        assert sign_in(browser, "wrong password").status_code == 401
    limited = sign_in(browser)
    assert limited.status_code == 429
    assert 0 < int(limited.headers["retry-after"]) <= 900
    for number in range(19):
        assert sign_in(browser, email=f"eve{number}@example.com").status_code == 401
    assert sign_in(browser, email="another@example.com").status_code == 429
    clock.advance(timedelta(minutes=16))
    assert sign_in(browser).status_code == 303


@pytest.mark.parametrize("next_page", ["https://evil.example", "//evil.example", "/\\evil.example", "javascript:alert(1)", "", "/a\nb"])
def test_signing_in_leads_nowhere_else(browser: TestClient, ada: Member, next_page: str):
    assert sign_in(browser, next=next_page).headers["location"] == "/"
    assert browser.get("/sign-in", params={"next": next_page}).headers["location"] == "/"


def test_a_page_without_a_session_leads_to_the_form_and_back(browser: TestClient):
    answer = browser.get("/hypotheses?status=approved")
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in?next=%2Fhypotheses%3Fstatus%3Dapproved")
    fragment = browser.get("/hypotheses", headers={"HX-Request": "true"})
    assert (fragment.status_code, fragment.headers["hx-redirect"]) == (401, "/sign-in?next=%2Fhypotheses")


# --- forged requests -----------------------------------------------------------------------------------------------------


def test_a_change_needs_the_token_of_this_session(browser: TestClient, store: Store):
    mine, other = member(browser, store, Role.ADMIN), member(browser, store, Role.ADMIN)
    cookie = {"Cookie": mine.headers["Cookie"]}
    browser.cookies.clear()
    for headers in ({}, {"X-CSRF-Token": ""}, {"X-CSRF-Token": other.headers["X-CSRF-Token"]}):
        answer = browser.post("/sign-out", headers=cookie | headers)
        assert answer.status_code == 403, answer.text
        assert browser.post("/api/v1/hypotheses", json={}, headers=cookie | headers).json()["code"] == "forbidden.forged"
    assert browser.post("/sign-out", headers=cookie, data={"csrf": mine.headers["X-CSRF-Token"]}).status_code == 303


ELSEWHERE = [{"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {"Origin": "https://evil.example"}, {"Origin": "null"}]


@pytest.mark.parametrize("told", ELSEWHERE)
def test_another_site_changes_nothing_and_signs_nobody_in(browser: TestClient, store: Store, ada: Member, told: dict[str, str]):
    assert member(browser, store, Role.ADMIN).ask("POST", "/sign-out", headers=told).status_code == 403
    answer = browser.post("/sign-in", data={"email": "ada@example.com", "password": PASSWORD}, headers=told)
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers


def test_a_key_needs_no_token_and_a_session_cannot_hide_behind_one(browser: TestClient, store: Store):
    from beton.roles import Permission

    assert program(browser, store, Permission.WRITE).ask("POST", "/api/v1/hypotheses", json={}).status_code == 422
    both = member(browser, store, Role.ADMIN)
    answer = browser.post("/sign-out", headers={"Cookie": both.headers["Cookie"], "Authorization": "Bearer btn_x"})
    assert answer.status_code in (303, 401)  # the key counts, and it is none: to the sign-in page
    assert len(rows_of(store, "session")) == 1


# --- links ---------------------------------------------------------------------------------------------------------------


def make(store: Store, purpose, email: str = "", role: Role | None = None) -> str:
    with store.transaction() as tx:
        return "/link/" + sessions.make_link(tx, purpose, email, actor="root", role=role)[1]


def test_the_first_admin_comes_in_by_a_link(browser: TestClient, store: Store):
    path = make(store, "invite", role=Role.ADMIN)
    assert browser.get(path).status_code == 200
    assert browser.get(path).status_code == 200  # looking does not use it up
    answer = browser.post(path, data={"email": "Ada@Example.com", "name": "Ada", "password": PASSWORD})
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert browser.get("/api/v1/me").json()["role"] == "admin"
    assert browser.post(path, data={"email": "eve@example.com", "password": PASSWORD}).status_code == 404
    assert members.any_admin(store)


def test_an_invitation_is_for_its_address_and_role(browser: TestClient, store: Store):
    path = make(store, "invite", "eve@example.com", Role.SALES)
    browser.post(path, data={"email": "mallory@example.com", "name": "Eve", "password": PASSWORD})
    told = browser.get("/api/v1/me").json()
    assert (told["email"], told["role"]) == ("eve@example.com", "sales")


def test_an_invitation_does_not_open_an_account_that_is_there(browser: TestClient, store: Store, ada: Member):
    """Else whoever may invite into one workspace could take over accounts of another."""
    from beton.store import workspaces

    second = store.of(workspaces.add(store, "Second", actor="root").id)
    path = make(second, "invite", "ada@example.com", Role.ADMIN)
    assert browser.post(path, data={"password": "another fine password"}).status_code == 401
    assert sign_in(browser).status_code == 303
    browser.cookies.clear()
    assert browser.post(path, data={"password": PASSWORD}).status_code == 303
    assert browser.get("/api/v1/me").json()["workspace_id"] == second.workspace_id


@pytest.mark.parametrize("password", ["short", "x" * 300, "aaaaaaaaaaaaaaaa", "ada@example.com"])
def test_a_bad_password_is_refused_and_the_link_still_works(browser: TestClient, store: Store, ada: Member, password: str):
    path = make(store, "reset", "ada@example.com")
    assert browser.post(path, data={"password": password}).status_code == 422
    assert browser.post(path, data={"password": "a better password"}).status_code == 303


def test_a_new_password_ends_the_sessions_of_the_old(browser: TestClient, store: Store, ada: Member):
    sign_in(browser)
    old = browser.cookies["beton_session"]
    browser.cookies.clear()
    browser.post(make(store, "reset", "ada@example.com"), data={"password": "a better password"})
    assert browser.get("/api/v1/me", headers={"Cookie": f"beton_session={old}"}).status_code == 401
    assert sign_in(browser).status_code == 401
    assert sign_in(browser, "a better password").status_code == 303


def test_a_sign_in_link_works_once(browser: TestClient, store: Store, ada: Member):
    path = make(store, "sign_in", "ada@example.com")
    assert browser.get(path).status_code == 303
    assert whoami(browser) == "ada@example.com"
    browser.cookies.clear()
    assert browser.get(path).status_code == 404
    assert whoami(browser) is None


def test_a_link_expires_and_only_its_hash_is_kept(browser: TestClient, store: Store, ada: Member, clock):
    path = make(store, "reset", "ada@example.com")
    assert path.rpartition("/")[2] not in repr([rows_of(store, table) for table in ("access_link", "audit_entry")])
    clock.advance(timedelta(hours=25))
    assert browser.get(path).status_code == browser.post(path, data={"password": "a better password"}).status_code == 404


# --- behind a proxy ------------------------------------------------------------------------------------------------------


def app_with(place: Workplace, **settings) -> Litestar:
    there = Workplace(Settings(data_dir=place.settings.data_dir, **settings), place.store, place.clock)
    return create_app(there, jobs=FakeJobs(there), passwords=QUICK)


def test_over_https_the_cookie_is_bound_to_this_host(place: Workplace, ada: Member):
    with TestClient(app_with(place, public_url="https://beton.example"), base_url="https://beton.example") as browser:
        browser.follow_redirects = False
        cookie = sign_in(browser).headers["set-cookie"]
        assert cookie.startswith("__Host-beton_session=")
        assert "secure" in cookie.lower()
        assert browser.get("/api/v1/me").status_code == 200


def scope_of(address: str) -> Any:
    return {"client": (address, 1), "scheme": "http"}


def test_a_proxy_is_believed_only_where_it_is_trusted():
    headers = {b"x-forwarded-for": "203.0.113.9, 198.51.100.7, 10.0.0.2", b"x-forwarded-proto": "https"}
    through, direct = scope_of("10.0.0.1"), scope_of("192.0.2.1")
    proxies = Proxies(["10.0.0.0/8"])
    assert proxies.client_of(through, headers) == "198.51.100.7"  # not what its client claims
    assert proxies.client_of(direct, headers) == "192.0.2.1"
    assert proxies.secure(through, headers)
    assert not proxies.secure(direct, headers)
    assert not Proxies([]).secure(through, headers)


def test_every_change_is_in_the_audit_log(browser: TestClient, store: Store, ada: Member):
    sign_in(browser)
    with store.transaction() as tx:
        sessions.end_all(tx, ada.id, actor="ada")
        actions = [one.action for one in audit.entries(tx)]
    assert actions[:4] == ["session.end_all", "session.begin", "member.set_password", "member.add"]
