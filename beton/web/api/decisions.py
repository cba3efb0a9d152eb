"""What people decide about a hypothesis: one address per action of the lifecycle.

A decision names the row version that was looked at. When somebody else was first, it is refused (409, `conflict.stale_version`); that is also
what a decision that is sent twice gets the second time, since the first has changed the version.
"""

from __future__ import annotations

from litestar import Response, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, JSONBody

from beton.lifecycle import Action
from beton.roles import Permission
from beton.web.access.policy import needs
from beton.web.api.asking import ETAG, IfMatch, etag, expected_version, refusals
from beton.web.api.bodies import Approval, Decision, Rejection, Snooze
from beton.web.api.resources import HypothesisRead
from beton.web.injected import TheActor, ThePlace
from beton.work.deciding import Resource, decide

Decided = Response[HypothesisRead]

MEANING = {
    Action.WAKE: "Bring a snoozed one back to review before its date.",
    Action.PAUSE: "Stop sending; what waits is held.",
    Action.RESUME: "Send again, what was held included.",
    Action.RETIRE: "It has had its day; what waits is given up.",
    Action.REOPEN: "Bring a rejected or retired one back to review.",
}


def _to(action: Action, meaning: str) -> HTTPRouteHandler:
    return post(
        f"/hypotheses/{{hypothesis_id:str}}/{action}",
        status_code=200,
        opt=needs(Permission.DECIDE),
        sync_to_thread=True,
        responses=refusals(404, 409),
        response_headers=ETAG,
        operation_id=f"{action}Hypothesis",
        description=meaning,
        tags=["decisions"],
    )


def _approve(
    place: ThePlace, actor: TheActor, hypothesis_id: FromPath[str], data: JSONBody[Approval | None] = None, if_match: IfMatch = None
) -> Decided:
    """Its fires become signals from now on."""
    asked = data or Approval()
    version = expected_version(if_match, asked.row_version)
    return _shown(decide(place, hypothesis_id, Action.APPROVE, actor=actor, expected_row_version=version, override_reason=asked.override_reason))


def _reject(place: ThePlace, actor: TheActor, hypothesis_id: FromPath[str], data: JSONBody[Rejection], if_match: IfMatch = None) -> Decided:
    """No, and why."""
    version = expected_version(if_match, data.row_version)
    return _shown(decide(place, hypothesis_id, Action.REJECT, actor=actor, expected_row_version=version, reason=data.reason))


def _snooze(place: ThePlace, actor: TheActor, hypothesis_id: FromPath[str], data: JSONBody[Snooze], if_match: IfMatch = None) -> Decided:
    """Not now, and until when."""
    version = expected_version(if_match, data.row_version)
    return _shown(decide(place, hypothesis_id, Action.SNOOZE, actor=actor, expected_row_version=version, snoozed_until=data.until))


def _plain(action: Action) -> HTTPRouteHandler:
    """An action that asks for nothing but the version."""

    def act(
        place: ThePlace, actor: TheActor, hypothesis_id: FromPath[str], data: JSONBody[Decision | None] = None, if_match: IfMatch = None
    ) -> Decided:
        version = expected_version(if_match, None if data is None else data.row_version)
        return _shown(decide(place, hypothesis_id, action, actor=actor, expected_row_version=version))

    return _to(action, MEANING[action])(act)


def _shown(decided: Resource) -> Decided:
    return Response(HypothesisRead.of(decided), headers=etag(decided.hypothesis.row_version))


HANDLERS: list[HTTPRouteHandler] = [
    _to(Action.APPROVE, "Its fires become signals from now on. Below the bar this needs `override_reason`.")(_approve),
    _to(Action.REJECT, "No, and why: the next proposals learn from the reason.")(_reject),
    _to(Action.SNOOZE, "Out of sight until a date.")(_snooze),
    *(_plain(action) for action in MEANING),
]
