"""Pictures: with intervals and counts or not at all, safe on a page, the same in every theme, and told by a table too."""

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from beton.web.charts import curves, figures, palette, rendering
from beton.web.charts.drawing import NARROW, Figure
from beton.web.charts.mosaic import HEIGHT, WIDTH, mosaic
from beton.web.charts.palette import ROLES
from beton.work.becoming import AtRisk, Conversion
from beton.work.capacity import Source
from beton.work.figures import Estimate, Point

HOSTILE = '<script>alert("x")</script> & "quotes"'
UNKNOWN = Estimate(None, None, None)


def around(value: float, by: float) -> Estimate:
    return Estimate(value, value - by, value + by)


def point(number: int, **given: Any) -> Point:
    told: dict[str, Any] = {
        "number": number, "sentence": HOSTILE, "href": f"/hypotheses/hyp_{number}", "verdict": "clears", "n": 40 + number,
        "precision": around(0.4, 0.1), "recall": around(0.2, 0.05), "lift": around(3, 1), "discovery": around(3.5, 1), "confirmed": around(2.5, 1),
        "confirmed_n": 31,
    }  # fmt: skip
    return Point(**(told | given))


CURVE = Conversion(
    days=14, seen=14, steps=((1.0, 0.1, 0.05, 0.2), (3.0, 0.2, 0.1, 0.3)), censored=((2.0, 0.1), (5.0, 0.2)),
    table=(AtRisk("1 d", 30, around(0.1, 0.05)), AtRisk("14 d", 12, around(0.2, 0.1))), n=32, pending=2, expected=None, judged=30,
)  # fmt: skip
SOURCES = [Source(HOSTILE, f"/hypotheses/hyp_{n}", around(9, 2), around(0.4 - n / 10, 0.05), 50, 0.1) for n in (1, 2)]
TWO = [point(1), point(2, verdict="cannot_tell", precision=around(0.3, 0.1))]
ALL = [
    figures.precision_recall(TWO, min_precision=None, min_recall=0.05),
    figures.lifts(TWO),
    figures.confirmation(TWO),
    curves.lead_times([("under 1 h", 2), ("1 h to 1 d", 5)], 12.0),
    curves.weeks([("4 May", 20, around(0.3, 0.1)), ("11 May", 22, around(0.2, 0.1))]),
    curves.conversion(CURVE),
    curves.gain(SOURCES, 12),
]


SHEET = (Path(rendering.__file__).parents[1] / "static" / "beton.css").read_text()


@pytest.fixture(params=ALL, ids=lambda one: one.name)
def figure(request: pytest.FixtureRequest) -> Figure:
    return request.param


def test_a_page_can_show_it_under_a_strict_policy(figure: Figure) -> None:
    svg = rendering.inline_svg(figure)

    assert "<script" not in svg
    assert not re.search(r"\s(style|on[a-z]+)=", svg)
    assert "<style" not in svg
    assert "http" not in svg.replace("http://www.w3.org/", "")


def test_only_its_table_is_read_aloud_and_tabbed_through(figure: Figure) -> None:
    svg = rendering.inline_svg(figure)

    assert 'aria-hidden="true"' in svg
    assert svg.count("<a ") == svg.count('<a tabindex="-1" ')
    assert "aria-label" not in svg


def test_its_colours_are_those_of_the_page_around_it_and_fixed_in_a_file(figure: Figure) -> None:
    assert "#01000" not in rendering.inline_svg(figure)
    assert "var(--chart-" in rendering.inline_svg(figure)
    assert b"var(" not in rendering.svg_file(figure)
    assert all(role.variable.startswith("--chart-") for role in ROLES.values())


def test_the_table_has_a_row_for_every_mark_and_a_cell_for_every_head(figure: Figure) -> None:
    assert len(figure.rows) == 2
    assert all(len(row) == len(figure.head) for row in figure.rows)
    assert figure.caption


def test_marks_lead_to_their_hypothesis() -> None:
    svg = rendering.inline_svg(ALL[0] or pytest.fail("no figure"))

    assert "/hypotheses/hyp_1" in svg
    assert "/hypotheses/hyp_2" in svg


def test_a_number_without_an_interval_is_not_drawn() -> None:
    only = [point(1, precision=Estimate(0.4, None, None), lift=UNKNOWN, confirmed=UNKNOWN)]

    assert figures.precision_recall(only, min_precision=None, min_recall=0.05) is None
    assert figures.lifts(only) is None
    assert figures.confirmation(only) is None
    assert only[0].lift.times == only[0].precision.share == "cannot tell"


def test_verdicts_differ_in_shape_and_word_not_only_in_colour() -> None:
    svg = rendering.inline_svg(ALL[0] or pytest.fail("no figure"))

    assert ">clears the bar</text>" in svg
    assert ">cannot tell</text>" in svg
    assert len(set(figures.SHAPES.values())) == len(figures.SHAPES)


def test_the_same_numbers_give_the_same_address_and_others_another(figure: Figure) -> None:
    again = replace(figure, title="Another title")

    assert rendering.digest(figure) == rendering.digest(again)
    assert len({rendering.digest(one) for one in ALL if one}) == len(ALL)


def test_a_file_for_messages_is_a_png(figure: Figure) -> None:
    assert rendering.png_file(figure).startswith(b"\x89PNG")


def test_nothing_is_drawn_until_a_picture_is_asked_for() -> None:
    told = "import sys; import beton.web.pages.pictures; print([one for one in ('altair', 'vl_convert') if one in sys.modules])"
    assert subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_the_same_numbers_are_drawn_once(figure: Figure) -> None:
    rendering.inline_svg(figure)
    before = rendering._specification.cache_info()
    rendering.inline_svg(replace(figure, title="Another title"))
    assert rendering._specification.cache_info().misses == before.misses


def test_a_telephone_gets_a_narrower_drawing(figure: Figure) -> None:
    wide, narrow = (
        float(re.findall(rb'width="([0-9.]+)"', svg)[0]) for svg in (rendering.svg_file(figure), rendering.svg_file(figure, width=NARROW))
    )
    assert narrow < 390 < wide


def test_the_style_sheet_has_the_colours_of_files() -> None:
    for role in ROLES.values():
        assert SHEET.count(f"{role.variable}: {role.light};") >= 1, role.variable
        assert SHEET.count(f"{role.variable}: {role.dark};") >= 2, role.variable


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_letters_stand_out_from_what_lies_behind_them(theme: str) -> None:
    colours = {key: getattr(role, theme) for key, role in ROLES.items()}
    for ink in (palette.INK, palette.MUTED):
        for ground in (palette.SURFACE, palette.REGION):
            assert contrast(colours[ink], colours[ground]) >= 4.5
    for mark in (palette.CLEARS, palette.UNSURE, palette.AGAINST, palette.SERIES, palette.OTHER):
        assert contrast(colours[mark], colours[palette.SURFACE]) >= 3


def contrast(one: str, other: str) -> float:
    """As WCAG has it."""
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    return sum(
        weight * (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4) for weight, c in zip((0.2126, 0.7152, 0.0722), parts, strict=True)
    )


def test_the_four_cells_are_drawn_to_scale() -> None:
    areas = {one.cell: one for one in mosaic({"tp": 100, "fp": 300, "fn": 150, "tn": 450})}
    size = {cell: one.width * one.height for cell, one in areas.items()}
    assert size["tp"] / size["fp"] == pytest.approx(1 / 3, rel=0.01)
    assert size["tn"] / size["fp"] == pytest.approx(1.5, rel=0.01)
    assert max(one.x + one.width for one in areas.values()) == pytest.approx(WIDTH)
    assert max(one.y + one.height for one in areas.values()) == pytest.approx(HEIGHT)
    assert sum(one.share for one in areas.values()) == pytest.approx(1)


def test_few_are_seen_and_none_are_not() -> None:
    areas = {one.cell: one for one in mosaic({"tp": 1, "fp": 0, "fn": 3, "tn": 100_000})}
    assert min(areas["tp"].width, areas["tp"].height, areas["fn"].height) >= 1.5
    assert areas["fp"].height == 0
    assert mosaic({"tp": 0, "fp": 0, "fn": 0, "tn": 0}) == ()
    assert [one.cell for one in mosaic({"tp": 0, "fp": 0, "fn": 2, "tn": 3}) if one.width and one.height] == ["fn", "tn"]
