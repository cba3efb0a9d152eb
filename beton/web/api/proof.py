"""Did it hold? The scoreboard, alarms and their answers, and who is held out."""

from __future__ import annotations

from typing import Annotated, Literal

from litestar import get, post, put
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, JSONBody, QueryParameter
from pydantic import Field

from backtest.holdout import LARGEST_SHARE
from beton.roles import Permission
from beton.store import alarms, hypotheses
from beton.web.access.policy import needs
from beton.web.api.asking import refusals
from beton.web.api.bodies import Body, Words
from beton.web.api.proof_resources import AlarmPage, AlarmRead, DriftActionRead, ScoreboardRead, ScoreRead
from beton.web.injected import TheActor, TheCaller, ThePlace
from beton.work import drifting
from beton.work.proof_json import alarm_json, line_json, scoreboard_json
from beton.work.scoreboard import choose_holdout, line, scoreboard

ByHypothesis = Annotated[str | None, QueryParameter()]
Unanswered = Annotated[bool, QueryParameter(description="Only those that nobody has answered.")]


class HoldoutBody(Body):
    """How many are held out."""

    share: float = Field(ge=0, le=LARGEST_SHARE, description="Share of the accounts that get no signal, to measure what sending adds.")


class AnswerBody(Body):
    """What is to be done about an alarm."""

    answer: Literal["kept", "paused", "retired"] = Field(description="It stays live and is watched anew, it is paused, or retired.")
    comment: Words | None = None


class DriftActionBody(Body):
    """What is to be done about a live hypothesis that is surely below its promise."""

    action: Literal["alarm", "pause", "ask"] = Field(description="Tell only; pause it at once; or ask somebody who may decide.")


@get("/scoreboard", opt=needs(Permission.READ), sync_to_thread=True, responses=refusals(), operation_id="readScoreboard", tags=["proof"])
def read_scoreboard(place: ThePlace, caller: TheCaller) -> ScoreboardRead:
    """All hypotheses that are or were live, those that ask for attention first, and all routes."""
    told = scoreboard_json(scoreboard(place), routes=caller.may(Permission.READ_ROUTES))
    return ScoreboardRead.model_validate(told)


@get(
    "/hypotheses/{hypothesis_id:str}/score",
    opt=needs(Permission.READ),
    sync_to_thread=True,
    responses=refusals(404),
    operation_id="readScore",
    tags=["proof"],
)
def read_score(place: ThePlace, hypothesis_id: FromPath[str]) -> ScoreRead:
    """One hypothesis of the scoreboard, whatever its status."""
    return ScoreRead.model_validate(line_json(line(place, hypothesis_id)))


@put(
    "/hypotheses/{hypothesis_id:str}/holdout",
    opt=needs(Permission.DECIDE),
    sync_to_thread=True,
    responses=refusals(404),
    operation_id="chooseHoldout",
    tags=["proof"],
)
def choose_share(place: ThePlace, actor: TheActor, hypothesis_id: FromPath[str], data: JSONBody[HoldoutBody]) -> ScoreRead:
    """Hold out another share of its accounts from now on. Another share begins another measurement."""
    choose_holdout(place, hypothesis_id, data.share, actor=actor)
    return ScoreRead.model_validate(line_json(line(place, hypothesis_id)))


@get("/alarms", opt=needs(Permission.READ), sync_to_thread=True, responses=refusals(404), operation_id="listAlarms", tags=["proof"])
def list_alarms(place: ThePlace, hypothesis_id: ByHypothesis = None, unanswered: Unanswered = False) -> AlarmPage:
    """Alarms about live hypotheses, the latest first."""
    with place.store.reading() as tx:
        if hypothesis_id is not None:
            hypotheses.get(tx, hypothesis_id)
        found = alarms.alarms(tx, hypothesis_id=hypothesis_id, open_only=unanswered)
    return AlarmPage(data=[AlarmRead.model_validate(alarm_json(one)) for one in found])


@post(
    "/alarms/{alarm_id:str}/answer",
    status_code=200,
    opt=needs(Permission.DECIDE),
    sync_to_thread=True,
    responses=refusals(404, 409),
    operation_id="answerAlarm",
    tags=["proof"],
)
def answer_alarm(place: ThePlace, actor: TheActor, alarm_id: FromPath[str], data: JSONBody[AnswerBody]) -> AlarmRead:
    """Say what is to be done about it, once."""
    return AlarmRead.model_validate(alarm_json(drifting.answer(place, alarm_id, data.answer, actor=actor, comment=data.comment)))


@get("/drift-action", opt=needs(Permission.READ), sync_to_thread=True, responses=refusals(), operation_id="readDriftAction", tags=["proof"])
def read_action(place: ThePlace) -> DriftActionRead:
    """What is done about a live hypothesis that is surely below its promise."""
    return DriftActionRead(action=drifting.action_of(place))


@put(
    "/drift-action",
    opt=needs(Permission.MANAGE_SETTINGS),
    sync_to_thread=True,
    responses=refusals(),
    operation_id="chooseDriftAction",
    tags=["proof"],
)
def choose_action(place: ThePlace, actor: TheActor, data: JSONBody[DriftActionBody]) -> DriftActionRead:
    """Choose what is done from now on."""
    drifting.choose_action(place, data.action, actor=actor)
    return DriftActionRead(action=data.action)


HANDLERS: list[HTTPRouteHandler] = [read_scoreboard, read_score, choose_share, list_alarms, answer_alarm, read_action, choose_action]
