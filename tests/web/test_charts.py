"""Pictures: with intervals and counts or not at all, safe on a page, the same in every theme, and told by a table too."""

import re
from dataclasses import replace
from typing import Any

import pytest

from beton.web.charts import figures, rendering
from beton.web.charts.figures import Figure
from beton.web.charts.palette import ROLES
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


TWO = [point(1), point(2, verdict="cannot_tell", precision=around(0.3, 0.1))]
ALL = [
    figures.precision_recall(TWO, min_precision=None, min_recall=0.05),
    figures.lifts(TWO),
    figures.confirmation(TWO),
    figures.lead_times([("under 1 h", 2), ("1 h to 1 d", 5)], 12.0),
    figures.weeks([("4 May", 20, around(0.3, 0.1)), ("11 May", 22, around(0.2, 0.1))]),
]


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
