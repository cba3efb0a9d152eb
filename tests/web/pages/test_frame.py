"""The frame of all pages: who is here, where links lead, what is loaded, and how a refusal looks."""

import gzip
import re
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from litestar.testing import TestClient

from beton.app import create_app
from beton.roles import Role
from beton.settings import Settings
from beton.store import members, sessions
from beton.store.passwords import Passwords
from beton.web.pages.assets import DIRECTORY, asset, assets
from beton.work.workplace import Workplace
from tests.web.conftest import URL, FakeJobs
from tests.web.pages.conftest import Person, read


def test_the_day_begins_in_review(ada, connection):
    assert ada.get("/").headers["location"] == "/review"


def test_who_is_not_signed_in_comes_back_after_signing_in(stranger):
    answer = stranger.get("/hypotheses?status=approved", headers={"accept": "text/html"}, follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in?next=%2Fhypotheses%3Fstatus%3Dapproved")


def test_all_scripts_together_are_small():
    assert sum(len(one.compressed) for one in assets().values() if one.name.endswith(".js")) < 60_000


def test_nothing_that_others_wrote_lies_in_the_repository():
    ours = {"beton.css", "beton.svg", "keys.js", "forms.js", "progress.js"}
    assert ours <= {path.name for path in DIRECTORY.iterdir()}
    assert {path.name for path in DIRECTORY.rglob("*.js") if path.parent != DIRECTORY} == {"htmx.min.js"}
    assert "beton/web/static/vendor/" in (Path(__file__).parents[3] / ".gitignore").read_text()


@pytest.mark.parametrize("name", sorted(assets()))
def test_a_file_is_kept_for_ever_under_the_hash_of_its_content(stranger, name):
    answer = stranger.get(asset(name).path, headers={"accept-encoding": "gzip"})
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert (answer.headers["content-encoding"], answer.content) == ("gzip", asset(name).content)
    assert gzip.decompress(asset(name).compressed) == asset(name).content
    plain = stranger.get(f"/static/0000/{name}", headers={"accept-encoding": "identity"})
    assert (plain.headers["cache-control"], plain.content) == ("no-store", asset(name).content)
    assert "set-cookie" not in answer.headers


def test_files_that_are_none_of_ours_are_not_there(stranger):
    for path in ("/static/x/none.js", "/static/x/..%2Fpages%2Fpage.py", "/static/x/%2e%2e"):
        assert stranger.get(path).status_code == 404


def test_a_page_loads_nothing_from_elsewhere(ada, proposed):
    page = read(ada.get("/review"))
    loaded = [has["src"] for has in page.all("script")] + [has["href"] for has in page.all("link")]
    assert loaded
    assert all(re.fullmatch(r"/static/[0-9a-f]{16}/[a-z.]+", one) for one in loaded)


def test_behind_a_prefix_every_link_has_it(store, tmp_path, clock):
    place = Workplace(Settings(data_dir=tmp_path, public_url="https://example.test/beton"), store, clock)
    app = create_app(place, jobs=FakeJobs(place), passwords=Passwords(quick=True))
    with TestClient(app, base_url=URL, root_path="/beton", raise_server_exceptions=False) as client:
        with store.transaction() as tx:
            member = members.add(tx, "ada@example.com", Role.ADMIN, actor="set-up")
            token = sessions.begin(tx, member.id, lasts=timedelta(days=3), how="test", actor="set-up")
        ada = Person(client, token, member.id)
        for path in ("/review", "/hypotheses", "/help/numbers"):
            answer = ada.get(f"/beton{path}")
            assert answer.status_code == 200
            targets = [has[name] for _, has in read(answer).tags for name in ("href", "src", "action", "hx-get", "hx-post") if has.get(name)]
            assert targets
            assert all(one.startswith(("/beton/", "#")) for one in targets), targets
        assert ada.get("/beton/").headers["location"] == "/beton/start"


def test_colours_are_chosen_and_kept(ada):
    assert "data-theme" not in read(ada.get("/review")).all("html")[0]
    answer = ada.post("/theme", {"theme": "dark", "next": "/hypotheses?q=x"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/hypotheses?q=x")
    assert "beton_theme=dark" in answer.headers["set-cookie"]
    dark = ada.client.get("/review", headers={"cookie": f"beton_session={ada.token}; beton_theme=dark"})
    assert read(dark).all("html", **{"data-theme": "dark"})
    odd = ada.client.get("/review", headers={"cookie": f"beton_session={ada.token}; beton_theme=x%22onload"})
    assert "data-theme" not in read(odd).all("html")[0]
    assert ada.post("/theme", {"theme": "dark", "next": "//evil.example"}).headers["location"] == "/"


def test_a_refusal_is_a_page_with_what_to_do_and_the_id_of_the_request(ada):
    answer = ada.get("/hypotheses/hyp_unknown")
    assert (answer.status_code, answer.headers["content-type"]) == (404, "text/html; charset=utf-8")
    text = read(answer).text
    assert "There is no hypothesis hyp_unknown." in text
    assert answer.headers["x-request-id"] in text
    assert ada.get("/nowhere").status_code == 404
    assert "<html" in ada.get("/nowhere").text


def test_the_api_goes_on_refusing_in_its_own_way(ada):
    answer = ada.get("/api/v1/hypotheses/hyp_unknown")
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_form_without_its_token_is_refused(ada, proposed):
    answer = ada.post(f"/hypotheses/{proposed[0].id}/approve", {"csrf": "forged"})
    assert answer.status_code == 403
    assert "forbidden.forged" in answer.text


def test_every_form_that_changes_something_carries_the_token(ada, proposed):
    for path in (
        "/review",
        f"/hypotheses/{proposed[0].id}",
        f"/hypotheses/{proposed[0].id}/approve",
        "/hypotheses/new",
        "/review/several?ids=" + proposed[0].id,
    ):
        page = read(ada.get(path))
        posts = [has for has in page.all("form") if has.get("method") == "post"]
        assert len(page.all("input", name="csrf", value=ada.csrf)) == len(posts)


def test_every_number_leads_to_how_it_is_computed(ada, proposed):
    anchors = {has["id"] for _, has in read(ada.get("/help/numbers")).tags if "id" in has}
    for path in (
        "/review",
        f"/hypotheses/{proposed[-1].id}",
        f"/hypotheses/{proposed[4].id}",
        f"/hypotheses/compare?a={proposed[0].id}&b={proposed[1].id}",
    ):
        linked = {has["href"].partition("#")[2] for has in read(ada.get(path)).all("a") if has.get("href", "").startswith("/help/numbers#")}
        assert linked
        assert linked <= anchors, linked - anchors


def test_starting_the_server_draws_no_picture_yet():
    told = subprocess.run(
        [sys.executable, "-c", "import sys, beton.app; print([one for one in ('altair', 'vl_convert', 'sklearn') if one in sys.modules])"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert told.stdout.strip() == "[]"


def test_pages_stay_light(ada, proposed):
    for path in ("/review", "/hypotheses", f"/hypotheses/{proposed[0].id}", "/hypotheses/new"):
        assert len(ada.get(path).content) < 100_000
