"""Decisions: what each will do, said beforehand; done with one more key; taken back with another.

Each is an address of its own, so it works as a page; asked for by htmx, the same sheet opens below the line it is about.
"""

from __future__ import annotations

from datetime import datetime, time, timedelta
from typing import Any

from litestar import Response, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, FromQuery

from beton.errors import BadInput, Conflict, Fault, NotFound
from beton.lifecycle import Action, allowed
from beton.roles import Permission
from beton.web.access.policy import needs
from beton.web.injected import ThePlace
from beton.web.pages.page import FormFields, Page, ThePage, many, text, whole
from beton.work import reviewing
from beton.work.deciding import decide
from beton.work.reviewing import Proposal
from beton.work.undoing import undo

REASONS = {
    "known": "Already known",
    "spurious": "Spurious",
    "few": "Too few",
    "useless": "Not actionable",
    "privacy": "Privacy",
    "other": "Other",
}
"""Why not: the next proposals learn from it."""

OVERRIDES = {"trial": "Worth a trial", "experience": "Known from experience", "small": "Small, but important"}
"""Why all the same, where the bar says otherwise."""

SNOOZES = {"day": ("Tomorrow", 1), "week": ("In a week", 7), "month": ("In a month", 30), "quarter": ("In a quarter", 91)}
MORNING = time(8)
SHEETS = {Action.APPROVE: "review/approve.html", Action.REJECT: "review/reject.html", Action.SNOOZE: "review/snooze.html"}
PLAIN = (Action.PAUSE, Action.RESUME, Action.RETIRE, Action.REOPEN, Action.WAKE)
MOST_AT_ONCE = 100


@get("/hypotheses/{hypothesis_id:str}/{action:str}", sync_to_thread=True, opt=needs(Permission.READ), include_in_schema=False)
def sheet(page: ThePage, place: ThePlace, hypothesis_id: FromPath[str], action: FromPath[str]) -> Response[str]:
    """What a decision would do."""
    template = SHEETS.get(_action(action))
    if template is None:
        return page.go(f"/hypotheses/{hypothesis_id}")
    outlook = reviewing.outlook(place, hypothesis_id, units=page.may(Permission.READ_SIGNALS))
    legal = Action(action) in allowed(outlook.proposal.resource.hypothesis.status)
    shown: dict[str, Any] = {
        "outlook": outlook,
        "one": outlook.proposal,
        "legal": legal,
        "reasons": REASONS,
        "overrides": OVERRIDES,
        "snoozes": _dates(page),
    }
    if page.fragment:
        return page.render(template, inline=True, **shown)
    return page.render("review/sheet.html", title=f"{action.capitalize()}?", at="review", inline=False, sheet=template, **shown)


@post("/hypotheses/{hypothesis_id:str}/{action:str}", status_code=200, sync_to_thread=True, opt=needs(Permission.DECIDE), include_in_schema=False)
def act(page: ThePage, place: ThePlace, hypothesis_id: FromPath[str], action: FromPath[str], data: FormFields) -> Response[str]:
    """Do it. The form says which row version was looked at; somebody else's decision in between is not overruled."""
    asked = _action(action)
    decide(place, hypothesis_id, asked, actor=page.actor, expected_row_version=whole(data, "row_version"), **_more(page, asked, data))
    if not page.fragment:
        return page.go("/review", done=hypothesis_id, how=action) if asked in SHEETS else page.go(f"/hypotheses/{hypothesis_id}")
    return page.render("review/done.html", one=reviewing.proposal(place, hypothesis_id), how=action, by_verdict=reviewing.waiting(place))


@post("/hypotheses/{hypothesis_id:str}/undo", status_code=200, sync_to_thread=True, opt=needs(Permission.DECIDE), include_in_schema=False)
def take_back(page: ThePage, place: ThePlace, hypothesis_id: FromPath[str], data: FormFields) -> Response[str]:
    """Back to review."""
    undone = undo(place, hypothesis_id, actor=page.actor, expected_row_version=whole(data, "row_version"))
    if not page.fragment:
        return page.go("/review", done=hypothesis_id, how="undone")
    again = reviewing.proposal(place, hypothesis_id)
    return page.render("review/item.html", one=again, sent_meanwhile=undone.signals, by_verdict=reviewing.waiting(place))


@get("/review/several", sync_to_thread=True, opt=needs(Permission.DECIDE), include_in_schema=False)
def preview_several(page: ThePage, place: ThePlace, action: FromQuery[str] = "approve", ids: FromQuery[list[str] | None] = None) -> Response[str]:
    """What one decision about several would do, one by one, before anything is done."""
    asked = _action(action)
    if asked not in SHEETS:
        raise BadInput(
            "Several can be approved, rejected or snoozed together.", [Fault("action", f"{action!r} is not for several", None, tuple(SHEETS))]
        )
    found = _several(place, ids or [])
    ready = [one for one in found if asked in allowed(one.resource.hypothesis.status)]
    return page.render(
        "review/several.html",
        title=f"{action.capitalize()} several",
        at="review",
        action=asked,
        ready=ready,
        left_out=[one for one in found if one not in ready],
        below=[one for one in ready if one.verdict != "clears"],
        routes=reviewing.open_routes(place),
        reasons=REASONS,
        overrides=OVERRIDES,
        snoozes=_dates(page),
        total=_total(ready),
    )


@post("/review/several", status_code=200, sync_to_thread=True, opt=needs(Permission.DECIDE), include_in_schema=False)
def act_on_several(page: ThePage, place: ThePlace, data: FormFields) -> Response[str]:
    """Each by itself: what somebody else has decided meanwhile is left as it is, and told."""
    asked = _action(text(data, "action"))
    if asked not in SHEETS:
        raise BadInput(
            "Several can be approved, rejected or snoozed together.", [Fault("action", f"{asked!r} is not for several", None, tuple(SHEETS))]
        )
    more = _more(page, asked, data)
    done: list[Proposal] = []
    refused: list[tuple[str, str]] = []
    for told in many(data, "ids"):
        hypothesis_id, _, version = told.partition("@")
        seen = int(version) if version.isdigit() and len(version) < 10 else None
        try:
            decide(place, hypothesis_id, asked, actor=page.actor, expected_row_version=seen, **more)
        except (Conflict, NotFound) as error:
            refused.append((hypothesis_id, error.message))
        else:
            done.append(reviewing.proposal(place, hypothesis_id))
    return page.render("review/several_done.html", title="Decided", at="review", action=asked, done=done, refused=refused)


def _several(place: ThePlace, ids: list[str]) -> list[Proposal]:
    if not ids:
        raise BadInput("Nothing is selected.", [Fault("ids", "is empty")], fix="Tick some proposals first.")
    if len(ids) > MOST_AT_ONCE:
        raise BadInput("Too many are selected.", [Fault("ids", f"{len(ids)} are selected, at most {MOST_AT_ONCE} can be decided together")])
    return reviewing.proposals(place, ids)


def _total(found: list[Proposal]) -> float:
    return sum(one.weekly.value for one in found if one.weekly is not None)


def _action(told: str) -> Action:
    try:
        asked = Action(told)
    except ValueError:
        asked = None
    if asked is None or asked not in (*SHEETS, *PLAIN):
        raise NotFound(f"There is nothing called {told} that could be done here.", fix="Go back to the hypothesis.")
    return asked


def _more(page: Page, asked: Action, form: dict[str, Any]) -> dict[str, Any]:
    """What the form of an action says besides the version."""
    match asked:
        case Action.APPROVE:
            chosen, words = text(form, "override"), text(form, "override_words")
            return {"override_reason": _told(OVERRIDES.get(chosen, ""), words) or None}
        case Action.REJECT:
            chosen, words = text(form, "reason"), text(form, "words")
            if chosen == "other" and not words:
                raise BadInput("Say in a few words why.", [Fault("words", "is empty")])
            return {"reason": _told("" if chosen == "other" else REASONS.get(chosen, ""), words)}
        case Action.SNOOZE:
            return {"snoozed_until": _until(page, text(form, "until"))}
        case _:
            return {}


def _told(chip: str, words: str) -> str:
    return ": ".join(filter(None, (chip, words)))[:2000]


def _dates(page: Page) -> dict[str, tuple[str, datetime]]:
    return {name: (label, _morning(page.now, days)) for name, (label, days) in SNOOZES.items()}


def _morning(now: datetime, days: int) -> datetime:
    return datetime.combine((now + timedelta(days=days)).date(), MORNING, now.tzinfo)


def _until(page: Page, chosen: str) -> datetime | None:
    if chosen in SNOOZES:
        return _morning(page.now, SNOOZES[chosen][1])
    try:
        return datetime.combine(datetime.strptime(chosen, "%Y-%m-%d").date(), MORNING, page.now.tzinfo)  # noqa: DTZ007  the zone is given beside it
    except ValueError:
        raise BadInput("Choose until when.", [Fault("until", "is not a date", None, ("2026-12-31",))]) from None


HANDLERS: list[HTTPRouteHandler] = [sheet, act, take_back, preview_several, act_on_several]
