"""What all drawings share: the house's axes, marks and scales, and what a figure is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from beton.web.charts import palette
from beton.work.figures import Estimate

if TYPE_CHECKING:
    import altair as alt

WIDE, NARROW = 560, 290
"""Of the plot without its axis, in pixels: on a desk, and on a telephone."""

FONT = "system-ui, -apple-system, 'Segoe UI', sans-serif"
Cell = str | float | int | None


@dataclass(frozen=True)
class Figure:
    """A picture and the table that says the same; `caption` tells what is seen and what it rests on.

    `draw(*given, width)` makes its Vega-Lite specification. It is called when the picture is asked for and not remembered under the same `given`,
    which has to be hashable: a page that only shows tables never loads the drawing library. `links` are addresses of the rows, where they have any.
    """

    name: str
    title: str
    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    draw: Callable[..., dict[str, Any]]
    given: tuple[Any, ...]
    file_head: tuple[str, ...]
    file_rows: tuple[tuple[Cell, ...], ...]
    links: tuple[str, ...] = ()


def ends(name: str) -> tuple[str, str, str]:
    """How a file calls an estimate and its limits."""
    return name, f"{name}_low", f"{name}_high"


def numbers(found: Estimate) -> tuple[Cell, Cell, Cell]:
    """What stands below."""
    return found.value, found.low, found.high


def marks(data: Any, kind: str, **style: Any) -> Any:
    """Marks of one kind. Untyped: Altair makes these methods in a way that no type checker follows."""
    import altair as alt

    return getattr(alt.Chart(data), f"mark_{kind}")(**style)


def values(rows: Sequence[dict[str, Any]]) -> Any:
    """Rows as a drawing takes them."""
    import altair as alt

    return alt.Data(values=list(rows))


def plain_axis(**more: Any) -> alt.Axis:
    """Of names rather than numbers: no line, no ticks."""
    import altair as alt

    return alt.Axis(ticks=False, domain=False, labelPadding=8, **more)


def at_one() -> Any:
    """A line where nothing is gained."""
    import altair as alt

    return marks(values([{"x": 1}]), "rule", color=palette.INK, strokeDash=[4, 3]).encode(x=alt.X("x:Q"))


def dressed(chart: Any, *, width: int, height: Any) -> dict[str, Any]:
    """The house's axes, grid and letters."""
    axis = {
        "labelColor": palette.MUTED, "titleColor": palette.MUTED, "gridColor": palette.LINE, "domainColor": palette.LINE, "tickColor": palette.LINE,
        "labelFontSize": 11, "titleFontSize": 11, "titleFontWeight": "normal", "labelFont": FONT, "titleFont": FONT, "gridOpacity": 0.6,
        "titlePadding": 8,
    }  # fmt: skip
    legend = {
        "labelColor": palette.INK,
        "labelFontSize": 11,
        "labelFont": FONT,
        "orient": "top",
        "symbolStrokeWidth": 0,
        "offset": 6,
        "columnPadding": 18,
    }
    room = {"left": 10, "right": 10, "top": 5, "bottom": 5}  # readers' letters may be wider than those that were measured
    drawn = chart.properties(width=width, height=height, background="transparent", padding=room)
    return drawn.configure_axis(**axis).configure_legend(**legend).configure_view(stroke=None).configure_text(font=FONT).to_dict(validate=False)
