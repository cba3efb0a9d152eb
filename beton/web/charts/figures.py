"""What is drawn. No picture shows an estimate without its interval and the cases it rests on; each has a table twin with the same numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from beton.web.charts import palette
from beton.work.figures import Estimate, Point

if TYPE_CHECKING:
    import altair as alt

Verdict = Literal["clears", "does_not_clear", "cannot_tell"]
WIDTH = 560
FONT = "system-ui, -apple-system, 'Segoe UI', sans-serif"
NAMES = {"clears": "clears the bar", "cannot_tell": "cannot tell", "does_not_clear": "does not clear"}
COLOURS = {"clears": palette.CLEARS, "cannot_tell": palette.UNSURE, "does_not_clear": palette.AGAINST}
SHAPES = {"clears": "circle", "cannot_tell": "triangle-up", "does_not_clear": "square"}
"""Verdicts differ in shape too: colour alone tells nothing to some readers and to most printers."""


@dataclass(frozen=True)
class Figure:
    """`specification` is Vega-Lite; `head` and `rows` are the table twin; `caption` says what is seen and what it rests on."""

    name: str
    title: str
    caption: str
    specification: dict[str, Any]
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def precision_recall(points: Sequence[Point], *, min_precision: float | None, min_recall: float) -> Figure | None:
    """Precision against recall of all that were tested, with whiskers, the area of a dot by its sample size, and the region that the bar asks for."""
    import altair as alt

    told = [one for one in points if one.precision.known and one.recall.known]
    if not told:
        return None
    data = alt.Data(values=[_row(one) for one in told])
    region = _marks(alt.Data(values=[{"x": min_recall, "x2": 1, "y": min_precision or 0, "y2": 1}]), "rect", color=palette.REGION)
    region = region.encode(x=alt.X("x:Q"), x2="x2", y=alt.Y("y:Q"), y2="y2")
    recall = alt.X(
        "recall:Q", title="recall: share of conversions that it precedes", axis=alt.Axis(format="%"), scale=_from_zero("recall_high", told)
    )
    precision = alt.Y(
        "precision:Q", title="precision: share of fires that convert", axis=alt.Axis(format="%"), scale=_from_zero("precision_high", told)
    )
    across = _marks(data, "rule", color=palette.OTHER, opacity=0.7).encode(x=alt.X("recall_low:Q"), x2="recall_high", y=precision)
    along = _marks(data, "rule", color=palette.OTHER, opacity=0.7).encode(x=recall, y=alt.Y("precision_low:Q"), y2="precision_high")
    dots = _marks(data, "point", filled=True, opacity=0.9, stroke=palette.SURFACE, strokeWidth=1)
    area = alt.Size("n:Q", legend=None, scale=alt.Scale(range=[40, 400]))
    dots = dots.encode(x=recall, y=precision, color=_colour(told), shape=_shape(told), href="href:N", size=area, description="what:N")
    numbers = _marks(data, "text", dx=11, dy=-9, fontSize=11, color=palette.MUTED).encode(x=recall, y=precision, text="number:N")
    caption = f"{len(told)} hypotheses. Whiskers are 95 % intervals; the larger a mark, the more fires it rests on. Shaded: what the bar asks for."
    return Figure(
        "precision-recall",
        "Precision against recall",
        caption,
        _dressed(region + across + along + dots + numbers, height=300),
        ("", "hypothesis", "precision", "recall", "fires"),
        tuple((str(one.number), one.sentence, one.precision.share, one.recall.share, f"{one.n:,}") for one in told),
    )


def lifts(points: Sequence[Point]) -> Figure | None:
    """Lift with its interval, one line per hypothesis, and a line at 1, where nothing is gained."""
    import altair as alt

    told = [one for one in points if one.lift.known]
    if not told:
        return None
    data = alt.Data(values=[_row(one) for one in told])
    order = [str(one.number) for one in told]
    lift = alt.X("lift:Q", title="lift: times the baseline of units of the same age", scale=alt.Scale(domainMin=0, nice=True))
    line = alt.Y("number:N", sort=order, title=None, axis=alt.Axis(ticks=False, domain=False, labelPadding=8))
    one = _marks(alt.Data(values=[{"x": 1}]), "rule", color=palette.INK, strokeDash=[4, 3]).encode(x="x:Q")
    spans = _marks(data, "rule", strokeWidth=2).encode(x=alt.X("lift_low:Q"), x2="lift_high", y=line, color=_colour(told))
    dots = _marks(data, "point", filled=True, size=70, opacity=1).encode(
        x=lift, y=line, color=_colour(told), shape=_shape(told), href="href:N", description="what:N"
    )
    return Figure(
        "lift",
        "Lift with its interval",
        "Dashed: 1, where a hypothesis tells nothing. Lines are 95 % intervals; one that reaches 1 may be chance.",
        _dressed(one + spans + dots, height=alt.Step(24)),
        ("", "hypothesis", "lift", "fires"),
        tuple((str(one.number), one.sentence, one.lift.times, f"{one.n:,}") for one in told),
    )


def confirmation(points: Sequence[Point]) -> Figure | None:
    """Lift where it was found against lift on the later data that confirms it. Finds lose something; those that lose all were luck."""
    import altair as alt

    told = [one for one in points if one.discovery.known and one.confirmed.known]
    if not told:
        return None
    rows = [
        {**_row(one), "part": part, "value": found.value, "low": found.low, "high": found.high}
        for one in told
        for part, found in (("found on", one.discovery), ("confirmed on", one.confirmed))
    ]
    data, order = alt.Data(values=rows), [str(one.number) for one in told]
    line = alt.Y("number:N", sort=order, title=None, axis=alt.Axis(ticks=False, domain=False, labelPadding=8))
    apart = alt.YOffset("part:N", sort=["found on", "confirmed on"])
    colour = alt.Color(
        "part:N",
        title=None,
        sort=["found on", "confirmed on"],
        scale=alt.Scale(domain=["found on", "confirmed on"], range=[palette.OTHER, palette.SERIES]),
    )
    shape = alt.Shape(
        "part:N", title=None, sort=["found on", "confirmed on"], scale=alt.Scale(domain=["found on", "confirmed on"], range=["diamond", "circle"])
    )
    one = _marks(alt.Data(values=[{"x": 1}]), "rule", color=palette.INK, strokeDash=[4, 3]).encode(x="x:Q")
    lift = alt.X("value:Q", title="lift", scale=alt.Scale(domainMin=0, nice=True))
    spans = _marks(data, "rule", strokeWidth=2).encode(x=alt.X("low:Q"), x2="high", y=line, yOffset=apart, color=colour)
    dots = _marks(data, "point", filled=True, size=60, opacity=1).encode(x=lift, y=line, yOffset=apart, color=colour, shape=shape, href="href:N")
    return Figure(
        "confirmation",
        "Discovery against confirmation",
        "Found on the earlier 60 % of the units, confirmed once on the later 40 %. Lines are 95 % intervals; dashed: 1, where nothing is gained.",
        _dressed(one + spans + dots, height=alt.Step(16)),
        ("", "hypothesis", "lift where found", "lift confirmed", "fires confirming"),
        tuple((str(one.number), one.sentence, one.discovery.times, one.confirmed.times, f"{one.confirmed_n:,}") for one in told),
    )


def lead_times(counts: Sequence[tuple[str, int]], median_hours: float) -> Figure | None:
    """How long before the outcome it fired: true positives by lead."""
    import altair as alt

    total = sum(count for _, count in counts)
    if not total:
        return None
    data = alt.Data(values=[{"lead": label, "count": count} for label, count in counts])
    bars = _marks(data, "bar", color=palette.SERIES)
    bars = bars.encode(
        x=alt.X("lead:N", sort=None, title="from the fire to the outcome", axis=alt.Axis(labelAngle=0)), y=alt.Y("count:Q", title="true positives")
    )
    told = f"{median_hours:.1f} hours" if median_hours < 48 else f"{median_hours / 24:.1f} days"
    return Figure(
        "lead",
        "Lead time",
        f"{total:,} true positives; half of them converted within {told} of the fire.",
        _dressed(bars, height=180),
        ("lead", "true positives", "share"),
        tuple((label, f"{count:,}", f"{count / total:.0%}") for label, count in counts),
    )


def weeks(told: Sequence[tuple[str, int, Estimate]]) -> Figure | None:
    """Precision week by week with its interval: an effect that fades shows here first."""
    import altair as alt

    rows = [
        {"week": week, "n": n, "value": found.value, "low": found.low, "high": found.high, "count": f"n {n}"}
        for week, n, found in told
        if found.known
    ]
    if not rows:
        return None
    data = alt.Data(values=rows)
    week = alt.X("week:N", sort=None, title="week of the fire", axis=alt.Axis(labelAngle=0))
    spans = _marks(data, "rule", strokeWidth=2, color=palette.SERIES).encode(x=week, y=alt.Y("low:Q"), y2="high")
    share = alt.Y("value:Q", title="precision", axis=alt.Axis(format="%"), scale=alt.Scale(domainMin=0))
    dots = _marks(data, "point", filled=True, size=60, color=palette.SERIES, opacity=1).encode(x=week, y=share)
    counts = _marks(data, "text", dy=-8, fontSize=10, color=palette.MUTED).encode(x=week, y=alt.Y("high:Q"), text="count:N")
    return Figure(
        "weeks",
        "Precision by week",
        "Fires by the week in which they came, as far as their horizon is complete. Lines are 95 % intervals.",
        _dressed(spans + dots + counts, height=180),
        ("week", "fires", "precision"),
        tuple((week, f"{n:,}", found.share) for week, n, found in told),
    )


def _marks(data: Any, kind: str, **style: Any) -> Any:
    """Marks of one kind. Untyped: Altair makes these methods in a way that no type checker follows."""
    import altair as alt

    return getattr(alt.Chart(data), f"mark_{kind}")(**style)


def _row(one: Point) -> dict[str, Any]:
    ends = {
        f"{name}{end}": getattr(found, part)
        for name, found in (("precision", one.precision), ("recall", one.recall), ("lift", one.lift))
        for end, part in (("", "value"), ("_low", "low"), ("_high", "high"))
    }
    return ends | {"number": str(one.number), "n": one.n, "href": one.href, "verdict": NAMES[one.verdict], "what": f"{one.number}: {one.sentence}"}


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


def _dressed(chart: Any, *, height: Any) -> dict[str, Any]:
    """The house's axes, grid and letters."""
    axis = {
        "labelColor": palette.MUTED, "titleColor": palette.MUTED, "gridColor": palette.LINE, "domainColor": palette.LINE, "tickColor": palette.LINE,
        "labelFontSize": 11, "titleFontSize": 11, "titleFontWeight": "normal", "labelFont": FONT, "titleFont": FONT, "gridOpacity": 0.6,
    }  # fmt: skip
    legend = {"labelColor": palette.INK, "labelFontSize": 11, "labelFont": FONT, "orient": "top", "symbolStrokeWidth": 0, "offset": 4}
    dressed = chart.properties(width=WIDTH, height=height, background="transparent")
    return dressed.configure_axis(**axis).configure_legend(**legend).configure_view(stroke=None).configure_text(font=FONT).to_dict(validate=False)
