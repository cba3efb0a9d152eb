"""The scoreboard: what became of signals beside what was promised, what sending adds, and what is to be done where a promise is broken."""

from __future__ import annotations

from typing import Any, get_args

from litestar import Response, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from backtest.holdout import LARGEST_SHARE
from beton.errors import BadInput, Fault
from beton.roles import Permission
from beton.store.alarms import Action, Answer
from beton.web.access.policy import needs
from beton.web.injected import ThePlace
from beton.web.pages.page import FormFields, ThePage, text
from beton.work import drifting
from beton.work.scoreboard import choose_holdout, scoreboard

HOLDS = {
    "kept": ("clears", "Kept"),
    "above": ("clears", "Better"),
    "below": ("does_not_clear", "Below"),
    "cannot_tell": ("cannot_tell", "Cannot tell yet"),
}
"""How realised and promised precision compare: the mark, and the word."""

ADDS = {"adds": ("clears", "Adds"), "takes": ("does_not_clear", "Takes away"), "cannot_tell": ("cannot_tell", "Cannot tell yet")}
ACTIONS = {"ask": "Ask somebody who may decide", "pause": "Pause it at once", "alarm": "Raise an alarm and go on"}
REASONS = {"holdout": "held out", "snoozed": "snoozed", "unit_cooldown": "cooling down", "account_cooldown": "account cooling down"}
SHARES = (0, 5, 10, 15, 20)
LONGEST_COMMENT = 2000


@get("/scoreboard", sync_to_thread=True, opt=needs(Permission.READ), include_in_schema=False)
def show(page: ThePage, place: ThePlace) -> Response[str]:
    """All hypotheses that are or were live, and all routes."""
    return page.render(
        "scoreboard/board.html",
        title="Scoreboard",
        at="scoreboard",
        board=scoreboard(place),
        action=drifting.action_of(place),
        actions=ACTIONS,
        **words(),
    )


@post("/alarms/{alarm_id:str}/answer", status_code=200, sync_to_thread=True, opt=needs(Permission.DECIDE), include_in_schema=False)
def answer(page: ThePage, place: ThePlace, alarm_id: FromPath[str], data: FormFields) -> Response[str]:
    """What is to be done about an alarm."""
    said = text(data, "answer")
    if said not in get_args(Answer):
        raise BadInput("Say what is to be done.", [Fault("answer", f"{said!r} is none of the answers", None, get_args(Answer))])
    comment = text(data, "comment")[:LONGEST_COMMENT] or None
    found = drifting.answer(place, alarm_id, said, actor=page.actor, comment=comment)  # ty: ignore[invalid-argument-type]
    return page.go(f"/hypotheses/{found.hypothesis_id}") if text(data, "from") == "hypothesis" else page.go("/scoreboard")


@post("/hypotheses/{hypothesis_id:str}/holdout", status_code=200, sync_to_thread=True, opt=needs(Permission.DECIDE), include_in_schema=False)
def hold_out(page: ThePage, place: ThePlace, hypothesis_id: FromPath[str], data: FormFields) -> Response[str]:
    """How many of its accounts get no signal, in percent."""
    told = text(data, "percent")
    if not told.isascii() or not told.isdigit() or len(told) > 2 or int(told) > round(100 * LARGEST_SHARE):
        raise BadInput("That many cannot be held out.", [Fault("percent", f"{told!r} is no whole number from 0 to {100 * LARGEST_SHARE:.0f}")])
    choose_holdout(place, hypothesis_id, int(told) / 100, actor=page.actor)
    return page.go(f"/hypotheses/{hypothesis_id}")


@post("/scoreboard/drift", status_code=200, sync_to_thread=True, opt=needs(Permission.MANAGE_SETTINGS), include_in_schema=False)
def choose_action(page: ThePage, place: ThePlace, data: FormFields) -> Response[str]:
    """What is done where a promise is broken."""
    action = text(data, "action")
    if action not in get_args(Action):
        raise BadInput("Say what is to be done.", [Fault("action", f"{action!r} is none of the choices", None, get_args(Action))])
    drifting.choose_action(place, action, actor=page.actor)  # ty: ignore[invalid-argument-type]
    return page.go("/scoreboard")


def words() -> dict[str, Any]:
    """What the templates of this screen say."""
    return {"holds": HOLDS, "adds": ADDS, "reasons": REASONS, "shares": SHARES}


HANDLERS: list[HTTPRouteHandler] = [show, answer, hold_out, choose_action]
