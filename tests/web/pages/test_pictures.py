"""Pictures on pages: each with its numbers as a table and as files, small, quick the second time, in the reader's colours; fires behind the cells."""

import csv
import io
import re
import time
import xml.etree.ElementTree as ElementTree
from datetime import timedelta

import pytest

from beton.lifecycle import Action
from beton.roles import Permission
from beton.store import api_keys, backtests, fires
from beton.store.records import BacktestFire
from beton.web.pages.pictures import csv_of
from beton.work.deciding import decide
from tests.web.pages.conftest import numbers, read
from tests.web.steps import keep_result, kept, result

NAMES = ("precision-recall", "lift", "confirmation", "gain")


@pytest.fixture
def many(store, connection, proposed):
    """Forty fires more on the best proposal: some converted, some not, some pending, one had converted before."""
    with store.transaction() as tx:
        run = backtests.latest(tx, [proposed[0].id])[proposed[0].id].run_id
        some = []
        for number in range(40):
            at = tx.now - timedelta(days=1 + 2 * number)
            lead = {0: timedelta(hours=30), 1: None, 2: timedelta(days=6)}[number % 3] if number else timedelta(hours=-3)
            outcome = None if lead is None or at + lead > tx.now else at + lead
            some.append(BacktestFire(unit_kind="person", unit_id=f"=unit-{number:02}", fired_at=at, outcome_at=outcome))
        fires.keep(tx, connection.id, run, proposed[0].id, some)
    return proposed[0]


def links(page, name: str) -> dict[str, str]:
    """The files of a picture, by ending."""
    found = [one["href"] for one in page.all("a") if re.search(rf"/{name}\.\w+", one.get("href", ""))]
    return {re.split(r"[.?]", one.rpartition("/")[2])[1]: one for one in found}


def test_a_list_has_pictures_with_a_table_and_files_each(ada, proposed):
    page = read(ada.get("/hypotheses/pictures"))
    for name in NAMES:
        assert set(links(page, name)) == {"svg", "png", "csv"}, name
    assert len([one for one in page.all("table") if "twin" in one["class"]]) == len(NAMES)
    assert (
        "Precision against recall 7 hypotheses." in page.text.replace("clears the bar cannot tell does not clear ", "") or "7 hypotheses" in page.text
    )
    assert len([one for one in page.all("a") if one.get("href") == f"/hypotheses/{proposed[0].id}"]) >= 2


def test_marks_lead_on_but_only_the_table_is_tabbed_through(ada, proposed):
    text = ada.get("/hypotheses/pictures").text
    drawn = "".join(re.findall(r'<svg [^>]*class="marks".*?</svg>', text, re.DOTALL))
    assert f"/hypotheses/{proposed[0].id}" in drawn
    assert drawn.count("<a ") == drawn.count('<a tabindex="-1"')
    assert not re.search(r"\sstyle=|\son\w+=|<script|<style", drawn)


def test_pictures_show_what_the_list_shows(ada, proposed, place):
    decide(place, proposed[0].id, Action.REJECT, actor="ada", reason="Known.")
    for path, count in (("status=proposed", 6), ("status=rejected", 1), ("verdict=does_not_clear", 2), ("q=nothing", 0), ("source=person", 0)):
        page = read(ada.get(f"/hypotheses/pictures?{path}"))
        rows = list(csv.reader(io.StringIO(ada.get(f"/hypotheses/pictures/lift.csv?{path}").text))) if count else [[]]
        assert len(rows) - 1 == count, path
        if count:
            assert path in links(page, "lift")["png"]
    assert "There is nothing to draw yet." in read(ada.get("/hypotheses/pictures?q=nothing")).text


def test_lists_lead_to_their_pictures(ada, proposed):
    assert "/hypotheses/pictures?status=proposed&verdict=clears" in [one.get("href") for one in read(ada.get("/review?verdict=clears")).all("a")]
    assert "/hypotheses/pictures?status=proposed" in [one.get("href") for one in read(ada.get("/hypotheses?status=proposed")).all("a")]


@pytest.mark.parametrize("name", NAMES)
def test_each_is_a_file_that_is_sent_once(ada, proposed, name):
    page = read(ada.get("/hypotheses/pictures?capacity=9"))
    for ending, kind in (("svg", "image/svg+xml"), ("png", "image/png"), ("csv", "text/csv; charset=utf-8")):
        answer = ada.get(links(page, name)[ending])
        assert (answer.status_code, answer.headers["content-type"], answer.headers["cache-control"]) == (200, kind, "private, no-cache")
        again = ada.get(links(page, name)[ending], if_none_match=answer.headers["etag"])
        assert (again.status_code, again.content) == (304, b"")
        assert answer.headers["content-disposition"].endswith(f'filename="beton-{name}.{ending}"')
    svg = ada.get(links(page, name)["svg"])
    assert ElementTree.fromstring(svg.content).tag.endswith("svg")  # noqa: S314 - it is our own
    assert b"var(" not in svg.content
    assert ada.get(f"/hypotheses/pictures/{name}.svg?theme=dark").headers["etag"] != svg.headers["etag"]


def test_the_address_on_a_page_may_be_kept_for_ever(ada, many):
    page = read(ada.get(f"/hypotheses/{many.id}"))
    images = page.all("img")
    assert len(images) == 4
    for image in images:
        assert image["alt"]
        answer = ada.get(image["src"])
        assert (answer.headers["content-type"], answer.headers["cache-control"]) == ("image/svg+xml", "private, max-age=31536000, immutable")
    stale = re.sub(r"of=\w+", "of=0123", images[0]["src"])
    assert ada.get(stale).headers["cache-control"] == "private, no-cache"
    widths = {len(ada.get(one["srcset"]).content) for one in page.all("source")}
    assert len(widths) > 4


def test_a_file_for_a_spreadsheet_has_numbers_with_limits_and_no_formulas(ada, proposed):
    told = list(csv.DictReader(io.StringIO(ada.get("/hypotheses/pictures/precision-recall.csv").text)))
    assert len(told) == 7
    assert float(told[0]["precision_low"]) < float(told[0]["precision"]) < float(told[0]["precision_high"])
    assert any("<script>" in one["hypothesis"] for one in told)
    assert b"'=1+1,2.5" in csv_of(("a", "b"), (("=1+1", 2.5),))


@pytest.mark.parametrize("file", ["none.svg", "lift.gif", "lift", ".svg", "lead.svg"])
def test_what_is_not_drawn_is_not_there(ada, proposed, file):
    assert ada.get(f"/hypotheses/pictures/{file}").status_code == 404
    assert ada.get(f"/hypotheses/hyp_unknown/pictures/{file}").status_code == 404


def test_the_cells_lead_to_those_who_fired(ada, many):
    page = read(ada.get(f"/hypotheses/{many.id}"))
    targets = [one.get("href") for one in page.all("a")]
    for cell in ("tp", "fp", "pending"):
        assert f"/hypotheses/{many.id}/fires?cell={cell}" in targets
    assert not any("cell=fn" in (one or "") or "cell=tn" in (one or "") for one in targets)
    assert "Had not fired 40 FN, 5.8% 540 TN, 78.9% 6.9%" in page.text
    assert "Who did not fire is counted, not stored." in page.text
    assert {one["class"] for one in page.all("rect") if one.get("class", "").startswith("cell-")} == {"cell-tp", "cell-fp", "cell-fn", "cell-tn"}


def test_fires_are_listed_with_what_became_of_them(ada, many):
    every = read(ada.get(f"/hypotheses/{many.id}/fires"))
    assert "52 of 430 fires are kept, the latest." in every.text
    assert "=unit-03" in every.text
    counts = {cell: listed(ada, many, f"cell={cell}") for cell in ("tp", "fp", "pending", "before")}
    assert sum(counts.values()) == 52
    assert all(counts.values())
    assert "Units that did not fire are counted (FN, TN) and never listed" in every.text
    assert (listed(ada, many, "cell=nonsense"), listed(ada, many, "start=50"), listed(ada, many, "start=500")) == (52, 2, 0)


def listed(ada, one, query: str) -> int:
    return len(read(ada.get(f"/hypotheses/{one.id}/fires?{query}")).all("th", **{"class": "mono"}))


def test_without_the_right_to_see_signals_units_stay_sealed(app, store, many, stranger):
    with store.transaction() as tx:
        token = api_keys.issue(tx, "Board", [Permission.READ], actor="set-up")[1]
    answer = stranger.get(f"/hypotheses/{many.id}/fires", headers={"authorization": f"Bearer {token}", "accept": "text/html"})
    assert answer.status_code == 200
    assert "unit-0" not in answer.text
    assert "acme.example" not in answer.text
    assert "sealed" in read(answer).text


def test_an_untested_one_has_neither_pictures_nor_fires(ada, store, connection):
    row = kept(store, connection)
    assert not read(ada.get(f"/hypotheses/{row.id}")).all("img")
    assert "This version has not been tested yet." in read(ada.get(f"/hypotheses/{row.id}/fires")).text
    keep_result(store, row, result(insufficient=True))
    assert ada.get(f"/hypotheses/{row.id}").status_code == 200
    assert "There is nothing to draw yet." in read(ada.get("/hypotheses/pictures")).text


def test_a_team_is_told_how_far_its_calls_get(ada, proposed):
    page = read(ada.get("/hypotheses/pictures?capacity=12"))
    (slider,) = page.all("input", type="range")
    assert (slider["value"], slider["name"]) == ("12", "capacity")
    assert page.all("form", method="get", action="/hypotheses/pictures#gain")
    weekly = 430 / (90 / 7)
    assert f"With 12 calls a week the team follows up {100 * 12 / weekly:.0f}% of those of the most precise, of " in page.text
    assert f"{12 * numbers(0)['confirmed']['precision']:.1f} conversions a week" in page.text
    assert "fewer than the team can call" in read(ada.get("/hypotheses/pictures?capacity=1000")).text
    for wrong in ("0", "1001", "many"):
        assert ada.get(f"/hypotheses/pictures?capacity={wrong}").status_code == 422


def test_sixty_are_drawn_on_a_page_below_half_a_megabyte_and_quickly(ada, store, connection):
    for days in range(1, 66):
        told = result(lift_low=1.5 + days / 100)
        keep_result(store, kept(store, connection, days=days), told | {"sample_size": 300 + days})
    ada.get("/hypotheses/pictures")
    begun = time.perf_counter()
    answer = ada.get("/hypotheses/pictures")
    took = time.perf_counter() - begun
    assert "60 hypotheses of 65, the highest ranked" in read(answer).text
    assert len(answer.content) < 500_000
    assert took < 0.8, f"all pictures together took {took:.3f} s"


@pytest.mark.parametrize("scripts", [True, False])
def test_the_slider_moves_with_and_without_script(eyes, scripts):
    with eyes.page(scripts=scripts) as window:
        window.goto("/hypotheses/pictures?status=proposed&capacity=12")
        slider = window.get_by_label("My team can call")
        slider.focus()
        window.keyboard.press("ArrowRight")
        if not scripts:
            window.get_by_role("button", name="Show").click()
        window.wait_for_url("**/hypotheses/pictures?status=proposed&capacity=13#gain")
        window.get_by_text("With 13 calls a week").wait_for()


def test_a_mark_opens_what_it_stands_for(eyes, proposed):
    with eyes.page() as window:
        window.goto("/hypotheses/pictures")
        window.get_by_role("region", name="Lift with its interval, drawn").locator("svg a").first.click()
        window.wait_for_url(f"**/hypotheses/{proposed[0].id}")
        window.locator('.mosaic a[href$="cell=tp"]').click()
        window.wait_for_url("**/fires?cell=tp")
