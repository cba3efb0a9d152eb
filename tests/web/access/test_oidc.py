"""Signing in through a provider, against a real one on loopback."""

import warnings
from collections.abc import Generator
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from litestar.testing import TestClient

from beton.app import create_app
from beton.roles import Role
from beton.settings import Settings
from beton.store import members, sessions
from beton.store.passwords import Passwords
from beton.store.store import Store
from beton.web.access.oidc import Provider
from beton.work.workplace import Workplace
from tests.web.conftest import URL, FakeJobs

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of the provider's own libraries
    import oidc_provider_mock

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the provider, which answers in a thread of this process
ADA = {"sub": "ada-1", "email": "ada@example.com", "email_verified": True, "name": "Ada"}


@pytest.fixture(scope="module")
def issuer() -> Generator[str]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with oidc_provider_mock.run_server_in_thread() as server:
            yield f"http://localhost:{server.server_port}"


@pytest.fixture
def browser(place: Workplace, issuer: str, clock) -> Generator[TestClient]:
    clock.now = datetime.now(UTC)
    settings = Settings(
        data_dir=place.settings.data_dir, oidc_issuer=issuer, oidc_client_id="beton", oidc_client_secret="s3cret", oidc_name="Example"
    )
    there = Workplace(settings, place.store, clock)
    with TestClient(create_app(there, jobs=FakeJobs(there), passwords=Passwords(quick=True)), base_url=URL) as client:
        client.follow_redirects = False
        yield client


def through(browser: TestClient, claims: dict, where: str = "/oidc/start?next=/signals", **changed: str) -> httpx.Response:
    """To the provider and back, as somebody; `changed` parameters of the way back."""
    sent = browser.get(where).headers["location"]
    base = f"{urlsplit(sent).scheme}://{urlsplit(sent).netloc}"
    httpx.put(
        f"{base}/users/{claims['sub']}", json={name: value for name, value in claims.items() if name != "sub"}, trust_env=False
    ).raise_for_status()
    back = httpx.post(sent, data={"sub": claims["sub"]}, trust_env=False).headers["location"]
    told = {name: values[0] for name, values in parse_qs(urlsplit(back).query).items()} | changed
    return browser.get("/oidc/callback", params=told)


def join(store: Store, email: str = "ada@example.com", role: Role = Role.REVIEWER) -> None:
    with store.transaction() as tx:
        members.add(tx, email, role, actor="set-up")


def test_a_member_whom_the_provider_names_is_signed_in(browser: TestClient, store: Store):
    join(store)
    assert "Example" in browser.get("/sign-in").text
    answer = through(browser, ADA)
    assert (answer.status_code, answer.headers["location"]) == (303, "/signals")
    assert browser.get("/api/v1/me").json()["email"] == "ada@example.com"


def test_the_subject_stays_the_same_person_under_another_address(browser: TestClient, store: Store):
    join(store)
    through(browser, ADA)
    browser.cookies.clear()
    through(browser, ADA | {"email": "countess@example.com"})
    assert browser.get("/api/v1/me").json()["email"] == "ada@example.com"
    browser.cookies.clear()
    assert through(browser, ADA | {"sub": "another"}).headers["location"].startswith("/sign-in")


def test_an_address_that_the_provider_has_not_verified_is_nobodys(browser: TestClient, store: Store):
    join(store)
    for claims in (
        ADA | {"email_verified": False},
        {"sub": "x", "email": "ada@example.com"},
        ADA | {"email_verified": "true"},
        ADA | {"email": "eve@example.com"},
    ):
        assert through(browser, claims | {"sub": "mallory"}).headers["location"].startswith("/sign-in")
        assert browser.get("/api/v1/me").status_code == 401


def test_an_invitation_is_taken_up(browser: TestClient, store: Store):
    with store.transaction() as tx:
        sessions.make_link(tx, "invite", "ada@example.com", actor="root", role=Role.SALES)
    assert through(browser, ADA).headers["location"] == "/signals"
    assert browser.get("/api/v1/me").json()["role"] == "sales"
    with store.reading() as tx:
        assert sessions.pending(tx) == []


def test_an_answer_belongs_to_the_browser_and_the_attempt_that_asked(browser: TestClient, store: Store, clock):
    join(store)
    assert through(browser, ADA, state="another").headers["location"].startswith("/sign-in")
    browser.get("/oidc/start")
    kept = browser.cookies["beton_oidc"]
    browser.cookies.clear()
    assert browser.get("/oidc/callback?code=x&state=y").headers["location"].startswith("/sign-in")  # without the cookie
    browser.cookies.set("beton_oidc", kept)
    clock.advance(timedelta(minutes=11))
    assert browser.get("/oidc/callback?code=x&state=y").headers["location"].startswith("/sign-in")
    assert browser.get("/api/v1/me").status_code == 401


@pytest.mark.parametrize("url", ["http://169.254.169.254", "https://10.0.0.1", "https://127.0.0.1", "https://2130706433", "http://public.example"])
def test_an_issuer_inside_is_not_asked(url: str, tmp_path):
    settings = Settings(data_dir=tmp_path, public_url="https://beton.example", oidc_issuer=url, oidc_client_id="beton")
    from beton.errors import BetonError

    with pytest.raises(BetonError) as refused:
        Provider.of(settings).described()
    assert refused.value.code in ("route.url_insecure", "route.url_invalid", "destination.address_forbidden")
