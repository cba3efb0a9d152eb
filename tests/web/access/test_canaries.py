"""A canary in every secret: it is in no page, answer, log, audit entry or column, but for the one answer that shows it."""

import logging

import pytest
from litestar.testing import TestClient
from pydantic import SecretStr

from beton.app import create_app
from beton.roles import Role
from beton.settings import Settings
from beton.store import sessions
from beton.store.columns import Row
from beton.store.passwords import Passwords
from beton.store.records import Connection
from beton.store.store import Store
from beton.work.workplace import Workplace
from tests.test_nothing_raw_at_rest import encoded
from tests.web.access.people import Somebody, addresses, member
from tests.web.conftest import URL, FakeJobs
from tests.web.steps import fired, rows_of

PASSWORD = "canary-PASSWORD-canary"
CLIENT_SECRET = "canary-OIDC-canary"


def test_no_secret_is_told_or_kept_in_clear(place: Workplace, store: Store, connection: Connection, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.DEBUG)
    fired(store, connection)
    settings = Settings(
        data_dir=place.settings.data_dir, oidc_issuer="https://login.example", oidc_client_id="beton", oidc_client_secret=SecretStr(CLIENT_SECRET)
    )
    there = Workplace(settings, store, place.clock)
    app = create_app(there, jobs=FakeJobs(there), passwords=Passwords(quick=True))
    with TestClient(app, base_url=URL, raise_server_exceptions=False) as client:
        client.follow_redirects = False
        with store.transaction() as tx:
            _, link = sessions.make_link(tx, "invite", "ada@example.com", actor=f"Bearer {PASSWORD}", role=Role.ADMIN)
        answer = client.post(f"/link/{link}", data={"name": "Ada", "password": PASSWORD})
        cookie = client.cookies["beton_session"]
        admin = member(client, store, Role.ADMIN)
        route = admin.ask("POST", "/api/v1/routes", json={"name": "hook", "url": "https://hooks.example.com/canaryPATH"}).json()
        key = admin.ask("POST", "/api/v1/keys", json={"name": "laptop", "scopes": ["read"]}, headers={"Idempotency-Key": "k"}).json()["key"]
        invited = admin.ask("POST", "/api/v1/members", json={"email": "eve@example.com", "role": "sales"}).json()["link"]
        told = [answer.text, *everything(admin, app), *refused(client, key, cookie)]
    secrets = [
        PASSWORD,
        CLIENT_SECRET,
        link,
        cookie,
        key,
        route["secret"],
        invited.rpartition("/")[2],
        "phx_canaryCANARYcanary",
        "canaryPATH",
        "whsec_canary",
    ]
    session = admin.headers["Cookie"].partition("=")[2]
    columns = [repr(rows_of(store, table)) for table in Row.metadata.tables]
    for place_, texts in (("answers", told), ("columns", columns), ("log", [record_of(caplog)])):
        for text in texts:
            found = [secret for secret in [*secrets, session, *encoded([key, PASSWORD, session])] if secret in text]
            assert found == [], (place_, text[:200])


def everything(admin: Somebody, app) -> list[str]:
    """What an admin is shown at every address that can be asked for."""
    return [admin.ask("GET", one.path).text for one in addresses(app) if one.method == "GET" and not one.parameters and one.path != "/oidc/start"]


def refused(client: TestClient, key: str, cookie: str) -> list[str]:
    """Refusals and failures of requests that carry secrets in wrong places."""
    client.cookies.clear()
    return [
        client.get("/api/v1/runs", headers={"Authorization": f"Bearer {key}x"}).text,
        client.get("/api/v1/hypotheses", headers={"Authorization": f"Bearer {key}"}, params={"connection": key}).text,
        client.post("/sign-in", data={"email": "ada@example.com", "password": PASSWORD + "x"}).text,
        client.post("/api/v1/keys", headers={"Cookie": f"beton_session={cookie}"}, json={"name": key, "scopes": [key]}).text,
    ]


def record_of(caplog: pytest.LogCaptureFixture) -> str:
    """What Beton itself has written; the test's own client logs the addresses it asks."""
    return "\n".join(record.getMessage() for record in caplog.records if not record.name.startswith("http"))
