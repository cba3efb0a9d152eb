"""Who may come in: by key, by name of the host; closed unless marked open."""

from litestar import Litestar
from litestar.routes import HTTPRoute
from litestar.testing import TestClient

from beton.roles import Permission
from beton.store import api_keys
from beton.store.store import Store
from tests.web.contract import Contract

PUBLIC = {("GET", "/healthz"), ("GET", "/readyz")}


def every_address(app: Litestar) -> list[tuple[str, str]]:
    """Method and path of every handler, those that the framework adds included."""
    return sorted({(method, route.path_format) for route in app.routes if isinstance(route, HTTPRoute) for method in route.methods})


def without_id(problem: dict) -> dict:
    return {key: value for key, value in problem.items() if key != "request_id"}


def test_nothing_but_http_is_served(app: Litestar):
    assert all(isinstance(route, HTTPRoute) for route in app.routes)


def test_the_public_addresses_are_open(stranger: TestClient):
    assert stranger.get("/healthz").json() == {"status": "ok"}
    assert stranger.get("/readyz").json() == {"status": "ready", "queue_age_seconds": None}
    assert stranger.get("/openapi.json").json()["openapi"].startswith("3.1")


def test_all_wrong_keys_get_the_same_answer(stranger: TestClient):
    missing = stranger.get("/api/v1/runs")
    wrong = ("", "Bearer", "Bearer ", "Bearer x", "Basic YTpi", "Bearer btn_unknownUNKNOWNunknown", f"Bearer {'x' * 5000}", "bearer btn_é")
    for header in wrong:
        response = stranger.get("/api/v1/runs", headers=[(b"authorization", header.encode("latin-1"))])
        assert response.status_code == 401
        assert without_id(response.json()) == without_id(missing.json()), header
        assert response.headers["www-authenticate"] == 'Bearer realm="beton"'
        assert response.headers["content-type"] == "application/problem+json"


def test_a_revoked_key_is_an_unknown_key(store: Store, stranger: TestClient):
    with store.transaction() as tx:
        key, token = api_keys.issue(tx, "Eve", [Permission.READ], actor="ada")
    headers = {"Authorization": f"Bearer {token}"}
    assert stranger.get("/api/v1/runs", headers=headers).status_code == 200
    with store.transaction() as tx:
        api_keys.revoke(tx, key.id, actor="ada")
    revoked = stranger.get("/api/v1/runs", headers=headers)
    assert without_id(revoked.json()) == without_id(stranger.get("/api/v1/runs").json())


def test_the_names_of_this_host_are_answered(stranger: TestClient):
    for host in ("localhost", "127.0.0.1:8321", "127.0.0.2", "[::1]", "[::1]:8321", "LOCALHOST:1", "beton.example.test"):
        assert stranger.get("/healthz", headers={"Host": host}).status_code == 200, host


def test_other_names_are_not_even_on_open_addresses(stranger: TestClient, token: str):
    elsewhere = (
        "evil.example",
        "evil.example:8321",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "10.0.0.1",
        "192.168.1.9",
        "[::2]",
        "::1",
        "",
    )
    for host in elsewhere:
        for path in ("/healthz", "/", "/api/v1/runs"):
            response = stranger.get(path, headers={"Host": host, "X-Forwarded-Host": "localhost", "Authorization": f"Bearer {token}"})
            assert response.status_code in (400, 421), host
            assert response.headers["content-type"] == "application/problem+json"


def test_every_answer_carries_the_protective_headers(api: Contract, stranger: TestClient):
    for path in ("/healthz", "/api/v1/runs", "/nowhere", "/openapi.json"):
        for headers in ({}, api.headers):
            got = stranger.get(path, headers=headers).headers
            assert got["x-content-type-options"] == "nosniff"
            assert got["x-frame-options"] == "DENY"
            assert got["cache-control"] == "no-store"
            assert got["content-security-policy"].startswith("default-src 'none'")
            assert got["x-request-id"].startswith("req_")
            assert "access-control-allow-origin" not in got


def test_a_request_id_is_kept_when_it_has_the_form_of_one(stranger: TestClient):
    assert stranger.get("/healthz", headers={"X-Request-Id": "trace-1234.5"}).headers["x-request-id"] == "trace-1234.5"
    for bad in ("short", "x" * 65, "with space 1", "new\tline-----"):
        assert stranger.get("/nowhere", headers={"X-Request-Id": bad}).json()["request_id"].startswith("req_")


def test_a_preflight_from_elsewhere_gets_no_permission(stranger: TestClient):
    asked = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    response = stranger.options("/api/v1/hypotheses", headers=asked)
    assert response.status_code == 401
    assert not [name for name in response.headers if name.startswith("access-control")]
