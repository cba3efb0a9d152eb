"""Pictures of what became of fires, and of how far a team gets with them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

from backtest.proportions import wilson
from beton.web.charts import palette
from beton.web.charts.drawing import WIDE, Figure, dressed, ends, marks, numbers, plain_axis, values
from beton.work.becoming import Conversion, Week
from beton.work.capacity import Source, reach
from beton.work.figures import Estimate

LABELLED = 15
"""Marks that are numbered in the picture of capacity; the rest stands in the table."""


def lead_times(counts: Sequence[tuple[str, int]], median_hours: float) -> Figure | None:
    """How long before the outcome it fired: true positives by lead, each share with its interval."""
    total = sum(count for _, count in counts)
    if not total:
        return None
    bins = tuple((label, count, _share(count, total)) for label, count in counts)
    told = f"{median_hours:.1f} hours" if median_hours < 48 else f"{median_hours / 24:.1f} days"
    return Figure(
        "lead",
        "Lead time",
        f"{total:,} fires that converted, by the time from the fire to the outcome: half within {told}. Lines are 95 % intervals of the share.",
        ("lead", "converted", "share"),
        tuple((label, f"{count:,}", found.share) for label, count, found in bins),
        _lead_times,
        (bins, total),
        ("lead", "converted", *ends("share")),
        tuple((label, count, *numbers(found)) for label, count, found in bins),
    )


def _lead_times(bins: Sequence[tuple[str, int, Estimate]], total: int, width: int = WIDE) -> dict[str, Any]:
    import altair as alt

    data = values([{"lead": label, "share": found.value, "low": found.low, "high": found.high, "n": f"{count:,}"} for label, count, found in bins])
    line = alt.Y("lead:N", sort=None, title=None, axis=plain_axis())
    share = alt.X("share:Q", title=f"share of the {total:,} that converted", axis=alt.Axis(format="%", tickCount=5), scale=alt.Scale(domainMin=0))
    bars = marks(data, "bar", color=palette.SERIES, opacity=0.35, height={"band": 0.7}).encode(x=share, y=line)
    spans = marks(data, "rule", color=palette.SERIES, strokeWidth=2).encode(x=alt.X("low:Q"), x2="high", y=line)
    told = marks(data, "text", align="left", dx=6, fontSize=11, color=palette.INK).encode(x=alt.X("high:Q"), y=line, text="n:N")
    return dressed(bars + spans + told, width=width, height=alt.Step(24))


def weeks(told: Sequence[tuple[str, int, Estimate]]) -> Figure | None:
    """Precision week by week with its interval: an effect that fades shows here first."""
    every = tuple(told)
    if not any(found.known for _, _, found in every):
        return None
    return Figure(
        "weeks",
        "Precision by week",
        "Fires by the week in which they came, as far as their horizon is complete. Lines are 95 % intervals; above them the number of fires.",
        ("week from", "fires", "precision"),
        tuple((week, f"{n:,}", found.share if n else "no judged fire") for week, n, found in every),
        _weeks,
        (every,),
        ("week_from", "fires", *ends("precision")),
        tuple((week, n, *numbers(found)) for week, n, found in every),
    )


def _weeks(told: Sequence[tuple[str, int, Estimate]], width: int = WIDE) -> dict[str, Any]:
    import altair as alt

    rows = [{"week": week, "value": found.value, "low": found.low, "high": found.high, "n": f"{n:,}"} for week, n, found in told if found.known]
    data, names = values(rows), [week for week, _, _ in told]
    axis = alt.Axis(labelAngle=0, labelOverlap=True)
    week = alt.X("week:N", sort=None, title="week of the fire, from", axis=axis, scale=alt.Scale(domain=names))
    spans = marks(data, "rule", strokeWidth=2, color=palette.SERIES).encode(x=week, y=alt.Y("low:Q"), y2="high")
    share = alt.Y("value:Q", title="precision", axis=alt.Axis(format="%", tickCount=5), scale=alt.Scale(domainMin=0))
    dots = marks(data, "point", filled=True, size=60, color=palette.SERIES, opacity=1).encode(x=week, y=share)
    counts = marks(data, "text", dy=-8, fontSize=10, color=palette.MUTED).encode(x=week, y=alt.Y("high:Q"), text="n:N")
    return dressed(spans + dots + counts, width=width, height=200)


def by_week(told: Sequence[Week]) -> Figure | None:
    """The same, of weeks as they are told elsewhere."""
    return weeks([(f"{one.start:%-d %b}", one.n, one.precision) for one in told])


def conversion(told: Conversion) -> Figure:
    """From the fire on: the share that has converted, with its interval, and marks where the observation of a pending fire ends."""
    expected = "" if told.expected is None else (
        f" Diamond: what units of the same age reach within the horizon, expected over the {told.judged:,} judged fires of the window."
    )  # fmt: skip
    pending = f"; {told.pending:,} are still within their horizon and count as far as they are seen (ticks)" if told.pending else ""
    return Figure(
        "conversion",
        "Conversion after the fire",
        f"Kaplan-Meier of {told.n:,} fires{pending}. Shaded: pointwise 95 % interval.{expected}",
        ("after the fire", "at risk", "converted by then"),
        (*((one.label, f"{one.at_risk:,}", _so_far(one.converted)) for one in told.table), *_expected_row(told)),
        _conversion,
        (told,),
        ("after_the_fire", "at_risk", *ends("converted")),
        tuple((one.label, one.at_risk, *numbers(one.converted)) for one in told.table),
    )


def _conversion(told: Conversion, width: int = WIDE) -> dict[str, Any]:
    import altair as alt

    line = [{"at": 0.0, "share": 0.0}, *({"at": at, "share": share} for at, share, *_ in told.steps)]
    line.append({"at": told.seen, "share": line[-1]["share"]})
    sure = [{"at": at, "low": low, "high": high} for at, _, low, high in told.steps if low is not None and high is not None]
    if sure:
        sure.append(sure[-1] | {"at": told.seen})
    days = alt.X("at:Q", title="days since the fire", scale=alt.Scale(domain=[0, told.days], nice=False))
    share = alt.Y("share:Q", title="have converted", axis=alt.Axis(format="%", tickCount=5), scale=alt.Scale(domainMin=0))
    band = marks(values(sure), "area", color=palette.SERIES, opacity=0.16, interpolate="step-after")
    drawn = band.encode(x=days, y=alt.Y("low:Q"), y2="high")
    drawn += marks(values(line), "line", color=palette.SERIES, strokeWidth=2, interpolate="step-after").encode(x=days, y=share)
    ticks = marks(values([{"at": at, "share": found} for at, found in told.censored]), "tick", orient="vertical", size=10, color=palette.INK)
    drawn += ticks.encode(x=days, y=share)
    if told.expected is not None:
        point = values([{"at": told.days, "share": told.expected, "label": f"units of the same age {told.expected:.1%}"}])
        drawn += marks(point, "point", shape="diamond", filled=True, size=90, color=palette.INK, opacity=1, clip=False).encode(x=days, y=share)
        label = marks(point, "text", align="right", dx=-10, dy=12, fontSize=11, color=palette.INK)
        drawn += label.encode(x=days, y=share, text="label:N")
    return dressed(drawn, width=width, height=220)


def gain(sources: Sequence[Source], capacity: int) -> Figure | None:
    """Expected conversions against signals a week, the most precise hypotheses first, with the line that the team can reach."""
    some = tuple(sources)
    if not some:
        return None
    sums = _sums(some)
    return Figure(
        "gain",
        "What so many calls a week bring",
        "Each mark adds a hypothesis, the most precise first. Lines are what the 95 % limits of their precisions add up to; dashed: what as many "
        "units of the same age bring anyway. A unit that fires on two of them counts twice, so this is the most to expect.",
        ("", "hypothesis", "signals a week", "precision", "fires", "conversions a week, summed up"),
        tuple(
            (str(number), one.sentence, _rate(one.weekly), one.precision.share, f"{one.n:,}", _rate(total))
            for number, (one, (_, total, _)) in enumerate(zip(some, sums[1:], strict=True), 1)
        ),
        _gain,
        (some, capacity),
        ("number", "hypothesis", *ends("signals_a_week"), *ends("precision"), "fires", *ends("conversions_a_week_summed"), "anyway_summed"),
        tuple(
            (number, one.sentence, *numbers(one.weekly), *numbers(one.precision), one.n, *numbers(total), anyway)
            for number, (one, (_, total, anyway)) in enumerate(zip(some, sums[1:], strict=True), 1)
        ),
        tuple(one.href for one in some),
    )


def _gain(some: Sequence[Source], capacity: int, width: int = WIDE) -> dict[str, Any]:
    import altair as alt

    sums = _sums(some)
    hrefs = ["", *(one.href for one in some)]
    rows = [
        {"x": x, "y": total.value, "low": total.low, "high": total.high, "anyway": anyway, "number": str(number), "href": hrefs[number]}
        for number, (x, total, anyway) in enumerate(sums)
    ]
    every, dots = values(rows), values(rows[1:])
    calls = alt.X("x:Q", title="signals a week", scale=alt.Scale(domain=[0, max(sums[-1][0], capacity) * 1.04], nice=False))
    brings = alt.Y("y:Q", title="expected conversions a week", scale=alt.Scale(domainMin=0))
    drawn = marks(every, "line", color=palette.OTHER, strokeDash=[4, 3]).encode(x=calls, y=alt.Y("anyway:Q"))
    drawn += marks(every, "line", color=palette.SERIES, strokeWidth=2).encode(x=calls, y=brings)
    drawn += marks(dots, "rule", color=palette.SERIES, opacity=0.8).encode(x=calls, y=alt.Y("low:Q"), y2="high")
    drawn += marks(dots, "point", filled=True, size=60, color=palette.SERIES, opacity=1).encode(x=calls, y=brings, href="href:N")
    drawn += marks(values(rows[1 : LABELLED + 1]), "text", dx=9, dy=9, fontSize=11, color=palette.MUTED).encode(x=calls, y=brings, text="number:N")
    here = values([{"x": capacity, "label": f"{capacity} a week"}])
    drawn += marks(here, "rule", color=palette.INK, strokeWidth=1.5).encode(x=calls)
    right = capacity < 0.75 * max(sums[-1][0], capacity)
    label = marks(here, "text", align="left" if right else "right", dx=6 if right else -6, fontSize=11, color=palette.INK)
    drawn += label.encode(x=calls, y=alt.value(8), text="label:N")
    return dressed(drawn, width=width, height=260)


def _sums(some: Sequence[Source]) -> list[tuple[float, Estimate, float]]:
    """After none, one, two ... of them: signals, conversions, conversions anyway."""
    volumes = accumulate((one.weekly.value or 0.0 for one in some), initial=0.0)
    every = [reach(some[:number], float("inf")) for number in range(len(some) + 1)]
    return [(volume, one.conversions, one.anyway) for volume, one in zip(volumes, every, strict=True)]


def _rate(found: Estimate) -> str:
    return f"{found.value:.1f} ({found.low:.1f} to {found.high:.1f})" if found.known else "cannot tell"


def _share(hits: int, n: int) -> Estimate:
    found = wilson(hits, n)
    return Estimate(None, None, None) if found is None else Estimate(hits / n, found.low, found.high)


def _so_far(found: Estimate) -> str:
    return found.share if found.known else "nobody" if not found.value else "everybody"


def _expected_row(told: Conversion) -> tuple[tuple[str, ...], ...]:
    return () if told.expected is None else (("units of the same age, expected", f"{told.judged:,} fires", f"{told.expected:.1%}"),)
