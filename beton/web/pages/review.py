"""Review: what waits for a decision, in the order in which it is worth looking at."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Response, get
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromQuery, QueryParameter

from beton.errors import NotFound
from beton.lifecycle import Status
from beton.roles import Permission
from beton.store.hypothesis_lists import Wanted
from beton.store.records import Source
from beton.web.access.policy import needs
from beton.web.injected import ThePlace
from beton.web.pages.page import Page, ThePage, of_one_instant
from beton.work import reviewing
from beton.work.attending import attention

AT_ONCE = 25
Search = Annotated[str, QueryParameter(name="q", max_length=200)]
Verdict = FromQuery[str]
VERDICTS = ("clears", "cannot_tell", "does_not_clear", "untested")
SOURCES: tuple[Source, ...] = ("search", "agent", "person")


@get("/review", sync_to_thread=True, opt=needs(Permission.READ), include_in_schema=False)
@of_one_instant
def review(
    page: ThePage, place: ThePlace, verdict: Verdict = "", connection: FromQuery[str] = "", source: FromQuery[str] = "", q: Search = "",
    after: FromQuery[str] = "", done: FromQuery[str] = "", how: FromQuery[str] = "",
) -> Response[str]:  # fmt: skip
    """The queue."""
    asked = {"verdict": verdict, "connection": connection, "source": source, "q": q.strip()}
    found = reviewing.queue(place, wanted(place, asked, (Status.PROPOSED,)), limit=AT_ONCE, after=after or None)
    return page.render(
        "review/queue.html",
        title="Review",
        at="review",
        queue=found,
        asked=asked,
        filtered=any(asked.values()),
        after=after,
        just=decided(page, done, how),
        why=None if found.proposals or after else reviewing.explained(place),
        bar=place.bar,
        attention=attention(place),
    )


def wanted(place: ThePlace, asked: dict[str, str], statuses: tuple[Status, ...]) -> Wanted:
    """The filters of a list; unknown values ask for nothing."""
    known: Any = {
        "verdict": asked["verdict"] if asked["verdict"] in VERDICTS else None,
        "source": asked["source"] if asked["source"] in SOURCES else None,
    }
    connection = place.connection(asked["connection"]).id if asked["connection"] else None
    return Wanted(connection_id=connection, statuses=statuses, search=asked["q"], **known)


def decided(page: Page, hypothesis_id: str, how: str) -> dict[str, Any] | None:
    """What was just done, for the note above the list where there is no script to leave it in place."""
    if not hypothesis_id or not page.caller:
        return None
    try:
        one = reviewing.proposal(page.place, hypothesis_id)
    except NotFound:
        return None
    return {"one": one, "how": how}


HANDLERS: list[HTTPRouteHandler] = [review]
