"""Signals: who fired, why, what it rests on, where it went, and what became of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from litestar import Response, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, FromQuery
from litestar.response import Stream

from backtest.language import Goal
from beton.errors import BadInput, Fault
from beton.roles import Permission
from beton.signals import Feedback
from beton.web.access.policy import needs
from beton.web.api.signals import csv_file
from beton.web.injected import TheCaller, ThePlace
from beton.web.pages.page import FormFields, Page, ThePage, of_one_instant, text
from beton.web.pages.route import WHY
from beton.work import following
from beton.work.following import Deed, Filter

AT_ONCE = 25
SINCE = {"day": ("Last 24 hours", 1), "week": ("Last 7 days", 7), "month": ("Last 30 days", 30)}
GOALS = {
    Goal.converts: ("Converts", "converted"),
    Goal.expands: ("Expands", "expanded"),
    Goal.churns: ("Churns", "churned"),
    Goal.returns: ("Returns", "came back"),
    Goal.custom: ("Custom", "did it"),
}
"""What a hypothesis predicts, as a word for a list and as what then happened."""

FEEDBACK = {Feedback.WORKED: "Worked", Feedback.NOT_A_FIT: "Not a fit", Feedback.CUSTOMER: "Already customer"}


@get("/signals", sync_to_thread=True, opt=needs(Permission.READ_SIGNALS), include_in_schema=False)
@of_one_instant
def list_signals(
    page: ThePage, place: ThePlace, whose: FromQuery[str] = "", hypothesis: FromQuery[str] = "", type: FromQuery[str] = "",
    since: FromQuery[str] = "", connection: FromQuery[str] = "", after: FromQuery[str] = "",
) -> Response[str]:  # fmt: skip
    """The list, the last detected first."""
    asked = {"whose": whose if whose == "mine" else "", "hypothesis": hypothesis, "type": type, "since": since, "connection": connection}
    found = following.inbox(place, wanted(page, asked), limit=AT_ONCE, after=after or None)
    return page.render(
        "signals/list.html",
        title="Signals",
        at="signals",
        inbox=found,
        asked=asked,
        filtered=any(asked.values()),
        after=after,
        hypotheses=following.fired_hypotheses(place, hypothesis),
        since=SINCE,
        sweep_minutes=place.settings.sweep_interval_minutes,
        **_words(),
    )


@get("/signals.csv", sync_to_thread=True, opt=needs(Permission.READ_SIGNALS), include_in_schema=False)
def export(
    page: ThePage, place: ThePlace, whose: FromQuery[str] = "", hypothesis: FromQuery[str] = "", type: FromQuery[str] = "",
    since: FromQuery[str] = "", connection: FromQuery[str] = "",
) -> Stream:  # fmt: skip
    """The same list as a file, whole."""
    asked = {"whose": whose, "hypothesis": hypothesis, "type": type, "since": since, "connection": connection}
    lines = following.export(place, wanted(page, asked), actor=page.actor)
    return csv_file(lines, page.now)


@get("/signals/{signal_id:str}", sync_to_thread=True, opt=needs(Permission.READ_SIGNALS), include_in_schema=False)
@of_one_instant
def show(page: ThePage, place: ThePlace, signal_id: FromPath[str], stopped: FromQuery[str] = "") -> Response[str]:
    """One signal with everything around it."""
    found = following.look(place, signal_id, audited=page.may(Permission.READ_AUDIT))
    return page.render("signals/one.html", title="Signal", at="signals", found=found, one=found.seen, stopped=stopped, held=WHY, **_words())


@get("/accounts/{unit_key:str}", sync_to_thread=True, opt=needs(Permission.READ_SIGNALS), include_in_schema=False)
@of_one_instant
def show_unit(page: ThePage, place: ThePlace, unit_key: FromPath[str]) -> Response[str]:
    """A person or account with the history of its signals. Its address does not name it."""
    found = following.unit(place, unit_key)
    return page.render("signals/unit.html", title="Account", at="signals", unit=found, **_words())


@post("/signals/{signal_id:str}/feedback", status_code=200, sync_to_thread=True, opt=needs(Permission.WORK_SIGNALS), include_in_schema=False)
def give_feedback(page: ThePage, place: ThePlace, signal_id: FromPath[str], data: FormFields) -> Response[str]:
    """What became of it, in one click; `none` takes that away."""
    told = text(data, "feedback")
    if told not in ("none", *Feedback):
        raise BadInput("Say what became of the signal.", [Fault("feedback", f"{told!r} is none of the answers", None, tuple(Feedback))])
    following.give_feedback(place, signal_id, None if told == "none" else Feedback(told), actor=page.actor)
    return _changed(page, place, signal_id, data)


@post("/signals/{signal_id:str}/claim", status_code=200, sync_to_thread=True, opt=needs(Permission.WORK_SIGNALS), include_in_schema=False)
def claim(page: ThePage, place: ThePlace, caller: TheCaller, signal_id: FromPath[str], data: FormFields) -> Response[str]:
    """It is one's own business."""
    return _do(page, place, caller, signal_id, "claim", data)


@post("/signals/{signal_id:str}/release", status_code=200, sync_to_thread=True, opt=needs(Permission.WORK_SIGNALS), include_in_schema=False)
def release(page: ThePage, place: ThePlace, caller: TheCaller, signal_id: FromPath[str], data: FormFields) -> Response[str]:
    """Somebody else's after all."""
    return _do(page, place, caller, signal_id, "release", data)


@post("/signals/{signal_id:str}/take-back", status_code=200, sync_to_thread=True, opt=needs(Permission.WORK_SIGNALS), include_in_schema=False)
def take_back(page: ThePage, place: ThePlace, caller: TheCaller, signal_id: FromPath[str], data: FormFields) -> Response[str]:
    """A mistake: what has not left does not leave."""
    return _do(page, place, caller, signal_id, "take_back", data)


@post("/signals/{signal_id:str}/put-back", status_code=200, sync_to_thread=True, opt=needs(Permission.WORK_SIGNALS), include_in_schema=False)
def put_back(page: ThePage, place: ThePlace, caller: TheCaller, signal_id: FromPath[str], data: FormFields) -> Response[str]:
    """Right after all."""
    return _do(page, place, caller, signal_id, "put_back", data)


def wanted(page: Page, asked: dict[str, str]) -> Filter:
    """The filters of the list; unknown values ask for nothing."""
    days = SINCE.get(asked["since"], ("", 0))[1]
    return Filter(
        hypothesis_id=asked["hypothesis"] or None,
        connection_id=page.place.connection(asked["connection"]).id if asked["connection"] else None,
        type=asked["type"] if asked["type"] in set(Goal) else None,
        owner_id=page.caller.id if asked["whose"] == "mine" and page.caller else None,
        since=page.now - timedelta(days=days) if days else _day(asked["since"]),
    )


def _day(told: str) -> datetime | None:
    try:
        return datetime.strptime(told, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        return None


def _do(page: Page, place: ThePlace, caller: TheCaller, signal_id: str, deed: Deed, form: dict[str, Any]) -> Response[str]:
    stopped = following.do(place, signal_id, deed, caller=caller)
    return _changed(page, place, signal_id, form, stopped)


def _changed(page: Page, place: ThePlace, signal_id: str, form: dict[str, Any], stopped: int = 0) -> Response[str]:
    """The line in its place, or the page on which the button was."""
    if page.fragment:
        return page.render("signals/item.html", one=following.seen(place, signal_id), **_words())
    if text(form, "from") == "list":
        return page.go("/signals")
    return page.go(f"/signals/{signal_id}", stopped=stopped or None)


def _words() -> dict[str, Any]:
    return {"goals": GOALS, "feedback": FEEDBACK}


HANDLERS: list[HTTPRouteHandler] = [list_signals, export, show, show_unit, give_feedback, claim, release, take_back, put_back]
