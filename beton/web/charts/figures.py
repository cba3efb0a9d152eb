"""Pictures of hypotheses beside each other. None shows an estimate without its interval and the cases it rests on; each has a table twin."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from beton.web.charts import palette
from beton.web.charts.drawing import WIDE, Figure, at_one, dressed, ends, marks, numbers, plain_axis, values
from beton.work.figures import Point

if TYPE_CHECKING:
    import altair as alt

Verdict = Literal["clears", "does_not_clear", "cannot_tell"]
NAMES = {"clears": "clears the bar", "cannot_tell": "cannot tell", "does_not_clear": "does not clear"}
COLOURS = {"clears": palette.CLEARS, "cannot_tell": palette.UNSURE, "does_not_clear": palette.AGAINST}
SHAPES = {"clears": "circle", "cannot_tell": "triangle-up", "does_not_clear": "square"}
"""Verdicts differ in shape too: colour alone tells nothing to some readers and to most printers."""

PARTS = ["found on", "confirmed on"]


def precision_recall(points: Sequence[Point], *, min_precision: float | None, min_recall: float) -> Figure | None:
    """Precision against recall of all that were tested, with whiskers, the area of a dot by its sample size, and the region that the bar asks for."""
    told = tuple(one for one in points if one.precision.known and one.recall.known)
    if not told:
        return None
    return Figure(
        "precision-recall",
        "Precision against recall",
        f"{_many(told)}. Whiskers are 95 % intervals; the larger a mark, the more fires it rests on. Shaded: what the bar asks for.",
        ("", "hypothesis", "verdict", "precision", "recall", "fires"),
        tuple((str(one.number), one.sentence, NAMES[one.verdict], one.precision.share, one.recall.share, f"{one.n:,}") for one in told),
        _precision_recall,
        (told, min_precision, min_recall),
        ("number", "hypothesis", "verdict", *ends("precision"), *ends("recall"), "fires"),
        tuple((one.number, one.sentence, one.verdict, *numbers(one.precision), *numbers(one.recall), one.n) for one in told),
        tuple(one.href for one in told),
    )


def _precision_recall(told: Sequence[Point], min_precision: float | None, min_recall: float, width: int = WIDE) -> dict[str, Any]:
    import altair as alt

    data = values([_row(one) for one in told])
    region = marks(values([{"x": min_recall, "x2": 1, "y": min_precision or 0, "y2": 1}]), "rect", color=palette.REGION, clip=True)
    region = region.encode(x=alt.X("x:Q"), x2="x2", y=alt.Y("y:Q"), y2="y2")
    share = alt.Axis(format="%", tickCount=6)
    recall = alt.X("recall:Q", title="recall: share of conversions that it precedes", axis=share, scale=_from_zero("recall_high", told))
    precision = alt.Y("precision:Q", title="precision: share of fires that convert", axis=share, scale=_from_zero("precision_high", told))
    across = marks(data, "rule", color=palette.OTHER, opacity=0.7).encode(x=alt.X("recall_low:Q"), x2="recall_high", y=precision)
    along = marks(data, "rule", color=palette.OTHER, opacity=0.7).encode(x=recall, y=alt.Y("precision_low:Q"), y2="precision_high")
    area = alt.Size("n:Q", legend=None, scale=alt.Scale(range=[40, 400]))
    dots = marks(data, "point", filled=True, opacity=0.9, stroke=palette.SURFACE, strokeWidth=1)
    dots = dots.encode(x=recall, y=precision, color=_colour(told), shape=_shape(told), href="href:N", size=area, description="what:N")
    labels = marks(data, "text", dx=11, dy=-9, fontSize=11, color=palette.MUTED).encode(x=recall, y=precision, text="number:N")
    return dressed(region + across + along + dots + labels, width=width, height=300)


def lifts(points: Sequence[Point]) -> Figure | None:
    """Lift with its interval, one line per hypothesis, and a line at 1, where nothing is gained."""
    told = tuple(one for one in points if one.lift.known)
    if not told:
        return None
    return Figure(
        "lift",
        "Lift with its interval",
        f"{_many(told)}. Dashed: 1, where a hypothesis tells nothing. Lines are 95 % intervals; one that reaches 1 may be chance.",
        ("", "hypothesis", "verdict", "lift", "fires"),
        tuple((str(one.number), one.sentence, NAMES[one.verdict], one.lift.times, f"{one.n:,}") for one in told),
        _lifts,
        (told,),
        ("number", "hypothesis", "verdict", *ends("lift"), "fires"),
        tuple((one.number, one.sentence, one.verdict, *numbers(one.lift), one.n) for one in told),
        tuple(one.href for one in told),
    )


def _lifts(told: Sequence[Point], width: int = WIDE) -> dict[str, Any]:
    import altair as alt

    data, order = values([_row(one) for one in told]), [str(one.number) for one in told]
    lift = alt.X(
        "lift:Q",
        title="lift: times the baseline of units of the same age",
        axis=alt.Axis(format="~f", tickCount=6),
        scale=alt.Scale(domainMin=0, nice=True),
    )
    line = alt.Y("number:N", sort=order, title=None, axis=plain_axis())
    spans = marks(data, "rule", strokeWidth=2).encode(x=alt.X("lift_low:Q"), x2="lift_high", y=line, color=_colour(told))
    dots = marks(data, "point", filled=True, size=70, opacity=1)
    dots = dots.encode(x=lift, y=line, color=_colour(told), shape=_shape(told), href="href:N", description="what:N")
    return dressed(at_one() + spans + dots, width=width, height=alt.Step(24 if len(told) <= 25 else 17))


def confirmation(points: Sequence[Point]) -> Figure | None:
    """Lift where it was found against lift on the later data that confirms it. Finds lose something; those that lose all were luck."""
    told = tuple(one for one in points if one.discovery.known and one.confirmed.known)
    if not told:
        return None
    return Figure(
        "confirmation",
        "Discovery against confirmation",
        "Found on the earlier 60 % of the units, confirmed once on the later 40 %. Lines are 95 % intervals; dashed: 1, where nothing is gained.",
        ("", "hypothesis", "lift where found", "lift confirmed", "fires confirming"),
        tuple((str(one.number), one.sentence, one.discovery.times, one.confirmed.times, f"{one.confirmed_n:,}") for one in told),
        _confirmation,
        (told,),
        ("number", "hypothesis", *ends("lift_found"), *ends("lift_confirmed"), "fires_confirming"),
        tuple((one.number, one.sentence, *numbers(one.discovery), *numbers(one.confirmed), one.confirmed_n) for one in told),
        tuple(one.href for one in told),
    )


def _confirmation(told: Sequence[Point], width: int = WIDE) -> dict[str, Any]:
    import altair as alt

    rows = [
        _row(one) | {"part": part, "value": found.value, "low": found.low, "high": found.high}
        for one in told
        for part, found in zip(PARTS, (one.discovery, one.confirmed), strict=True)
    ]
    data, order = values(rows), [str(one.number) for one in told]
    line = alt.Y("number:N", sort=order, title=None, axis=plain_axis(labels=len(told) > 1))
    apart = alt.YOffset("part:N", sort=PARTS)
    colour = alt.Color("part:N", title=None, sort=PARTS, scale=alt.Scale(domain=PARTS, range=[palette.OTHER, palette.SERIES]))
    shape = alt.Shape("part:N", title=None, sort=PARTS, scale=alt.Scale(domain=PARTS, range=["diamond", "circle"]))
    lift = alt.X("value:Q", title="lift", axis=alt.Axis(format="~f", tickCount=6), scale=alt.Scale(domainMin=0, nice=True))
    spans = marks(data, "rule", strokeWidth=2).encode(x=alt.X("low:Q"), x2="high", y=line, yOffset=apart, color=colour)
    dots = marks(data, "point", filled=True, size=60, opacity=1).encode(x=lift, y=line, yOffset=apart, color=colour, shape=shape, href="href:N")
    return dressed(at_one() + spans + dots, width=width, height=alt.Step(16 if len(told) <= 25 else 11))


def _many(told: Sequence[Point]) -> str:
    return "1 hypothesis" if len(told) == 1 else f"{len(told)} hypotheses"


def _row(one: Point) -> dict[str, Any]:
    named = {
        f"{name}{end}": getattr(found, part)
        for name, found in (("precision", one.precision), ("recall", one.recall), ("lift", one.lift))
        for end, part in (("", "value"), ("_low", "low"), ("_high", "high"))
    }
    return named | {"number": str(one.number), "n": one.n, "href": one.href, "verdict": NAMES[one.verdict], "what": f"{one.number}: {one.sentence}"}


def _present(points: Sequence[Point]) -> list[str]:
    return [verdict for verdict in NAMES if any(one.verdict == verdict for one in points)]


def _colour(points: Sequence[Point]) -> alt.Color:
    import altair as alt

    here = _present(points)
    return alt.Color("verdict:N", title=None, scale=alt.Scale(domain=[NAMES[one] for one in here], range=[COLOURS[one] for one in here]))


def _shape(points: Sequence[Point]) -> alt.Shape:
    import altair as alt

    here = _present(points)
    return alt.Shape("verdict:N", title=None, scale=alt.Scale(domain=[NAMES[one] for one in here], range=[SHAPES[one] for one in here]))


def _from_zero(name: str, points: Sequence[Point]) -> alt.Scale:
    import altair as alt

    highest = max(value for one in points if (value := _row(one)[name]) is not None)
    return alt.Scale(domain=[0, min(1.0, highest * 1.1)], clamp=True)
