"""Hypotheses: all of them, each by itself, and two side by side."""

from __future__ import annotations

from litestar import Response, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, FromQuery

from beton.errors import BadInput, Fault
from beton.lifecycle import Action, Status, allowed
from beton.roles import Permission
from beton.store import hypotheses, hypothesis_lists
from beton.web.access.policy import needs
from beton.web.charts.mosaic import mosaic
from beton.web.injected import TheHands, ThePlace
from beton.web.pages import pictures
from beton.web.pages.page import FormFields, ThePage, of_one_instant
from beton.web.pages.review import Search, wanted
from beton.web.pages.scoreboard import words
from beton.work import becoming, looking, reviewing
from beton.work.backtesting import default_as_of
from beton.work.drafting import as_text
from beton.work.scoreboard import SHOWN, line

AT_ONCE = 25
WINDOW_DAYS = 90
BUTTONS = {
    Action.PAUSE: "Stops sending; what waits is held.",
    Action.RESUME: "Sends again, what was held included.",
    Action.RETIRE: "It has had its day; what waits is given up.",
    Action.REOPEN: "Back to review.",
    Action.WAKE: "Back to review now.",
}
"""What each button does, as its title says."""


@get("/hypotheses", sync_to_thread=True, opt=needs(Permission.READ), include_in_schema=False)
@of_one_instant
def list_hypotheses(
    page: ThePage, place: ThePlace, status: FromQuery[str] = "", verdict: FromQuery[str] = "", connection: FromQuery[str] = "",
    source: FromQuery[str] = "", q: Search = "", after: FromQuery[str] = "",
) -> Response[str]:  # fmt: skip
    """The list, the newest first."""
    asked = {"verdict": verdict, "connection": connection, "source": source, "q": q.strip()}
    statuses = (Status(status),) if status in set(Status) else ()
    found = reviewing.listing(place, wanted(place, asked, statuses), limit=AT_ONCE, after=after or None)
    with place.store.reading() as tx:
        counts = hypothesis_lists.count_by_status(tx)
    asked["status"] = status if statuses else ""
    return page.render(
        "hypotheses/list.html",
        title="Hypotheses",
        at="hypotheses",
        queue=found,
        asked=asked,
        counts=counts,
        after=after,
        filtered=any(asked.values()),
    )


@get("/hypotheses/{hypothesis_id:str}", sync_to_thread=True, opt=needs(Permission.READ), include_in_schema=False)
@of_one_instant
def show(page: ThePage, place: ThePlace, hypothesis_id: FromPath[str]) -> Response[str]:
    """One hypothesis with everything around it."""
    sight = looking.look(place, hypothesis_id, units=page.may(Permission.READ_SIGNALS))
    legal = allowed(sight.hypothesis.status)
    told = becoming.record(place, sight.proposal)
    return page.render(
        "hypotheses/one.html",
        title=sight.hypothesis.name,
        at="hypotheses",
        sight=sight,
        one=sight.proposal,
        legal=[str(action) for action in legal],
        buttons={str(action): (action, title) for action, title in BUTTONS.items() if action in legal},
        definition=as_text(sight.hypothesis.definition),
        record=told,
        counts=told.counts() if told and told.kept else None,
        areas=mosaic(sight.proposal.judged["closed"]) if sight.proposal.judged else (),
        pictures=pictures.around(page, sight.proposal, told),
        others=_others(place, hypothesis_id),
        score_line=line(place, hypothesis_id) if sight.hypothesis.status in SHOWN or sight.hypothesis.fired_count else None,
        **words(),
    )


@get("/hypotheses/compare", sync_to_thread=True, opt=needs(Permission.READ), include_in_schema=False)
@of_one_instant
def compare(page: ThePage, place: ThePlace, a: FromQuery[str] = "", b: FromQuery[str] = "") -> Response[str]:
    """Two side by side."""
    if not a or not b or a == b:
        raise BadInput(
            "Choose two hypotheses to compare.", [Fault("b", "is missing, or the same as the first")], fix="Open one, and choose another beside it."
        )
    first, second = reviewing.proposal(place, a), reviewing.proposal(place, b)
    told = looking.differences(first, second, looking.COMPARED)
    return page.render("hypotheses/compare.html", title="Compare", at="hypotheses", pair=(first, second), told=told)


@post("/hypotheses/{hypothesis_id:str}/test", status_code=200, sync_to_thread=True, opt=needs(Permission.RUN), include_in_schema=False)
def test_again(page: ThePage, place: ThePlace, hands: TheHands, hypothesis_id: FromPath[str], data: FormFields) -> Response[str]:
    """Test it on the last days, and watch."""
    del data
    with place.store.reading() as tx:
        row = hypotheses.get(tx, hypothesis_id)
    run = hands.jobs.start_backtest(place.connection(row.connection_id), [row.id], default_as_of(place.clock()), WINDOW_DAYS)
    return page.go(f"/runs/{run.id}")


def _others(place: ThePlace, hypothesis_id: str) -> dict[str, str]:
    """What one might compare with: the first of the queue, by id."""
    with place.store.reading() as tx:
        found = hypothesis_lists.names_of_ranked(tx, Status.PROPOSED, limit=20)
    found.pop(hypothesis_id, None)
    return found


HANDLERS: list[HTTPRouteHandler] = [list_hypotheses, show, compare, test_again]
