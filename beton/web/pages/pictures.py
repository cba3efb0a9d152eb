"""Pictures of hypotheses: all of a list beside each other, what became of those who fired on one, and each as a file."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any

from litestar import Response, get
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, FromQuery, QueryParameter

from beton.errors import NotFound
from beton.lifecycle import Status
from beton.roles import Permission
from beton.web import charts
from beton.web.access.policy import needs
from beton.web.charts import curves, figures, rendering
from beton.web.charts.drawing import NARROW, WIDE, Cell, Figure
from beton.web.charts.palette import Theme
from beton.web.injected import Ask, ThePlace
from beton.web.pages.page import Page, ThePage
from beton.web.pages.review import Search, wanted
from beton.work import becoming, capacity, reviewing
from beton.work.becoming import Became, Record
from beton.work.figures import points
from beton.work.following import FORMULA
from beton.work.reviewing import Proposal
from beton.work.workplace import Workplace

AT_ONCE = 60
FIRES_AT_ONCE = 100
MOST_CALLS = 1000
KINDS = {"svg": "image/svg+xml", "png": "image/png", "csv": "text/csv"}
WIDTHS = {"": WIDE, "narrow": NARROW}
KEPT_FOR_EVER = "private, max-age=31536000, immutable"
CELLS = {
    Became.CONVERTED: ("Had the outcome", "had the outcome within the horizon"),
    Became.NOT: ("Had it not", "had it not, though the whole horizon is over"),
    Became.PENDING: ("Not over yet", "are within the horizon still, and count for nothing until it is over, whatever happens"),
    Became.BEFORE: ("Had it before", "had the outcome before they fired, and count nowhere"),
}
Calls = Annotated[int, QueryParameter(name="capacity", ge=1, le=MOST_CALLS)]


@dataclass(frozen=True)
class Picture:
    """A figure as a page refers to it: `address` is where its files lie, without their ending, and `query` what they depend on beside it."""

    figure: Figure
    address: str
    query: dict[str, Any]

    @property
    def mark(self) -> str:
        """Another one for every other content: under it a browser may keep the file."""
        return _mark(self.figure)


@get("/hypotheses/pictures", sync_to_thread=True, opt=needs(Permission.READ), include_in_schema=False)
def across(
    page: ThePage, place: ThePlace, status: FromQuery[str] = "", verdict: FromQuery[str] = "", connection: FromQuery[str] = "",
    source: FromQuery[str] = "", q: Search = "", calls: Calls = capacity.USUAL,
) -> Response[str]:  # fmt: skip
    """All pictures of a list."""
    asked = {"status": status if status in set(Status) else "", "verdict": verdict, "connection": connection, "source": source, "q": q.strip()}
    found = _listed(place, asked)
    sources = capacity.sources(place, wanted(place, asked, ()), page.url("/hypotheses"))
    drawn = [*_across(page, place, found.proposals), curves.gain(sources, calls)]
    pictures = {one.name: Picture(one, f"/hypotheses/pictures/{one.name}", asked | _calls(one, calls)) for one in drawn if one}
    volume = sum(one.weekly.value or 0.0 for one in sources)
    return page.render(
        "hypotheses/pictures.html",
        title="Pictures",
        at="hypotheses",
        asked=asked,
        filtered=any(asked.values()),
        queue=found,
        pictures=pictures,
        svg=rendering.inline_svg,
        calls=calls,
        most=min(MOST_CALLS, max(50, calls, int(volume) // 10 * 10 + 10)),
        reach=capacity.reach(sources, calls),
        sources=sources,
        volume=volume,
    )


@get("/hypotheses/pictures/{file:str}", sync_to_thread=True, opt=needs(Permission.READ), include_in_schema=False)
def across_file(
    request: Ask, page: ThePage, place: ThePlace, file: FromPath[str], status: FromQuery[str] = "", verdict: FromQuery[str] = "",
    connection: FromQuery[str] = "", source: FromQuery[str] = "", q: Search = "", calls: Calls = capacity.USUAL,
) -> Response[bytes]:  # fmt: skip
    """One of them as SVG, PNG or CSV."""
    asked = {"status": status if status in set(Status) else "", "verdict": verdict, "connection": connection, "source": source, "q": q.strip()}
    if file.rpartition(".")[0] == "gain":
        drawn = [curves.gain(capacity.sources(place, wanted(place, asked, ()), page.url("/hypotheses")), calls)]
    else:
        drawn = _across(page, place, _listed(place, asked).proposals)
    return _file(request, file, drawn)


@get("/hypotheses/{hypothesis_id:str}/pictures/{file:str}", sync_to_thread=True, opt=needs(Permission.READ), include_in_schema=False)
def one_file(request: Ask, page: ThePage, place: ThePlace, hypothesis_id: FromPath[str], file: FromPath[str]) -> Response[bytes]:
    """A picture of one hypothesis as SVG, PNG or CSV."""
    one = reviewing.proposal(place, hypothesis_id)
    return _file(request, file, [found.figure for found in around(page, one, becoming.record(place, one)).values()])


@get("/hypotheses/{hypothesis_id:str}/fires", sync_to_thread=True, opt=needs(Permission.READ), include_in_schema=False)
def list_fires(page: ThePage, place: ThePlace, hypothesis_id: FromPath[str], cell: FromQuery[str] = "", start: FromQuery[int] = 0) -> Response[str]:
    """Who fired in the newest backtest, as far as it is kept."""
    one = reviewing.proposal(place, hypothesis_id)
    told = becoming.record(place, one)
    became = Became(cell) if cell in set(Became) else None
    some = () if told is None else told.of(became)
    start = max(0, start)
    shown = some[start : start + FIRES_AT_ONCE]
    may = page.may(Permission.READ_SIGNALS)
    return page.render(
        "hypotheses/fires.html",
        title="Fires",
        at="hypotheses",
        one=one,
        told=told,
        cells=CELLS,
        cell=became,
        shown=shown,
        units=becoming.opened(place, shown) if may else {},
        may=may,
        start=start,
        further=start + FIRES_AT_ONCE if start + FIRES_AT_ONCE < len(some) else None,
        back=max(0, start - FIRES_AT_ONCE) if start else None,
    )


def around(page: Page, one: Proposal, told: Record | None) -> dict[str, Picture]:
    """The pictures of one hypothesis, its lift for messages among them; nothing is drawn yet."""
    if told is None:
        return {}
    bins, median = becoming.leads(told)
    converted = becoming.conversion(told)
    itself = points([one.resource], page.url("/hypotheses"))
    drawn = (
        figures.lifts(itself),
        figures.confirmation(itself),
        curves.conversion(converted) if converted else None,
        curves.lead_times([(each.label, each.count) for each in bins], median) if median is not None else None,
        curves.by_week(becoming.weeks(told)),
    )
    address = f"/hypotheses/{one.resource.hypothesis.id}/pictures"
    return {each.name: Picture(each, f"{address}/{each.name}", {}) for each in drawn if each}


def _listed(place: Workplace, asked: dict[str, str]) -> reviewing.Queue:
    statuses = (Status(asked["status"]),) if asked["status"] else ()
    return reviewing.queue(place, wanted(place, asked, statuses), limit=AT_ONCE)


def _across(page: Page, place: Workplace, found: Sequence[Proposal]) -> list[Figure | None]:
    told = points([one.resource for one in found], page.url("/hypotheses"))
    region = figures.precision_recall(told, min_precision=place.bar.min_precision, min_recall=place.bar.min_recall)
    return [region, figures.lifts(told), figures.confirmation(told)]


def _calls(figure: Figure, calls: int) -> dict[str, Any]:
    return {"capacity": calls} if figure.name == "gain" else {}


def _file(request: Ask, file: str, drawn: Sequence[Figure | None]) -> Response[bytes]:
    """By name and ending, in the theme and width that are asked for; what the browser has already is not sent again."""
    name, _, kind = file.rpartition(".")
    figure = next((one for one in drawn if one and one.name == name), None)
    if figure is None or kind not in KINDS:
        raise NotFound(f"There is no picture {file}.", fix="Open the page of the hypothesis: it shows those that there are.")
    theme: Theme = "dark" if request.query_params.get("theme") == "dark" else "light"
    width = WIDTHS.get(request.query_params.get("width", ""), WIDE)
    make: dict[str, Callable[[], bytes]] = {
        "svg": lambda: rendering.svg_file(figure, theme, width),
        "png": lambda: rendering.png_file(figure, theme, width),
        "csv": lambda: csv_of(figure.file_head, figure.file_rows),
    }
    content = hashlib.sha256(csv_of(figure.file_head, figure.file_rows)).hexdigest()[:20] if kind == "csv" else rendering.digest(figure, width)
    etag = f'"{content}-{theme}"'
    headers = {
        "ETag": etag,
        "Cache-Control": KEPT_FOR_EVER if request.query_params.get("of") == _mark(figure) else "private, no-cache",
        "Content-Disposition": f'{"attachment" if kind == "csv" else "inline"}; filename="beton-{file}"',
        "Vary": "Cookie",
    }
    if etag in request.headers.get("if-none-match", ""):
        return Response(b"", status_code=304, media_type=KINDS[kind], headers=headers)
    return Response(make[kind](), media_type=KINDS[kind], headers=headers)


def _mark(figure: Figure) -> str:
    """From what is drawn and what draws it."""
    return hashlib.sha256(f"{_code()} {figure.name} {figure.given!r}".encode()).hexdigest()[:16]


@cache
def _code() -> str:
    """Of the modules that draw: after an upgrade, pictures have new addresses."""
    return hashlib.sha256(b"".join(path.read_bytes() for path in sorted(Path(charts.__path__[0]).glob("*.py")))).hexdigest()


def csv_of(head: Sequence[str], rows: Sequence[Sequence[Cell]]) -> bytes:
    """RFC 4180 in UTF-8; a cell that a spreadsheet would take for a formula begins with an apostrophe."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(head)
    for row in rows:
        writer.writerow([f"'{cell}" if isinstance(cell, str) and cell.startswith(FORMULA) else cell for cell in row])
    return out.getvalue().encode()


HANDLERS: list[HTTPRouteHandler] = [across, across_file, one_file, list_fires]
