"""Long work: asked for here, answered at once with a run, done by the jobs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Annotated, Any

from litestar import Response, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, JSONBody, QueryParameter
from litestar.response import ServerSentEvent, ServerSentEventMessage
from pydantic import ValidationError

from backtest.matching import Comparison
from beton.errors import BadInput, Fault, Forbidden
from beton.lifecycle import Status
from beton.roles import Permission
from beton.store import hypotheses, runs
from beton.store.records import Connection, Run, RunKind, RunStatus
from beton.web.access.policy import needs
from beton.web.api.asking import LOCATION, Cursor, Limit, listed, refusals
from beton.web.api.bodies import NewBacktestBody, NewProposalsBody, PopulationBody
from beton.web.api.resources import RunPage, RunRead
from beton.web.injected import TheCaller, TheHands, ThePlace
from beton.work.asking import confirmed_question, question_json, read_question
from beton.work.backtesting import default_as_of
from beton.work.populating import Population, narrowed
from beton.work.workplace import Workplace

RunStatuses = Annotated[list[RunStatus] | None, QueryParameter(description="May be given several times.")]
Kind = Annotated[RunKind | None, QueryParameter()]
ByConnection = Annotated[str | None, QueryParameter(description="Name or id.")]
WINDOW_DAYS = 90
LOOK_EVERY = 1.0
MOST_LOOKS = 900
"""Seconds between looks at a run that is followed, and how many there are before the stream ends by itself; the reader then asks again."""

WORTH_TESTING = (Status.DRAFT, Status.PROPOSED, Status.SNOOZED, Status.APPROVED, Status.PAUSED)


@get("/runs", opt=needs(Permission.READ), sync_to_thread=True, responses=refusals(404), operation_id="listRuns", tags=["runs"])
def list_runs(
    place: ThePlace,
    status: RunStatuses = None,
    kind: Kind = None,
    connection: ByConnection = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> RunPage:
    """Runs, newest first."""
    connection_id = None if connection is None else place.connection(connection).id
    return listed(
        RunPage,
        place.store,
        cursor,
        lambda tx: runs.listing(tx, kind=kind, connection_id=connection_id, statuses=status or (), limit=limit, after=cursor),
        lambda found: [RunRead.of(one) for one in found],
    )


@get("/runs/{run_id:str}", opt=needs(Permission.READ), sync_to_thread=True, responses=refusals(404), operation_id="readRun", tags=["runs"])
def read_run(place: ThePlace, run_id: FromPath[str]) -> RunRead:
    """How far a run is, and how it ended."""
    with place.store.reading() as tx:
        return RunRead.of(runs.get(tx, run_id))


@get(
    "/runs/{run_id:str}/events",
    opt=needs(Permission.READ),
    responses=refusals(404),
    media_type="text/event-stream",
    operation_id="followRun",
    tags=["runs"],
)
async def follow_run(place: ThePlace, run_id: FromPath[str]) -> ServerSentEvent:
    """The run as server-sent events: `progress` with the run as JSON whenever it has changed, `over` at its end, when the stream closes."""
    first = await asyncio.to_thread(_run, place, run_id)
    return ServerSentEvent(_followed(place, first), headers={"X-Accel-Buffering": "no"})


async def _followed(place: Workplace, run: Run) -> AsyncGenerator[ServerSentEventMessage]:
    shown = ""
    for _ in range(MOST_LOOKS):
        now = RunRead.of(run).model_dump_json()
        if now != shown:
            yield ServerSentEventMessage(event="over" if run.status.over else "progress", data=now)
        if run.status.over:
            return
        shown = now
        await asyncio.sleep(LOOK_EVERY)
        run = await asyncio.to_thread(_run, place, run.id)


def _run(place: Workplace, run_id: str) -> Run:
    with place.store.reading() as tx:
        return runs.get(tx, run_id)


@post(
    "/backtests",
    status_code=202,
    opt=needs(Permission.RUN),
    sync_to_thread=True,
    responses=refusals(404, 503),
    response_headers=LOCATION,
    operation_id="startBacktest",
    tags=["runs"],
)
def start_backtest(place: ThePlace, hands: TheHands, caller: TheCaller, data: JSONBody[NewBacktestBody]) -> Response[RunRead]:
    """Test hypotheses of a connection. The run's address is in `Location`; the results stand at the hypotheses when it is done.

    With a population each is tested as a hypothesis of its own, narrowed to it; the run's `request` has their ids."""
    connection = place.connection(data.connection)
    ids = _to_test(place, connection, data.hypothesis_ids)
    population = _population(data.population)
    if population.asks:
        if not caller.may(Permission.WRITE):
            raise Forbidden("A population makes new hypotheses, which this key or role may not write.", details={"needs": str(Permission.WRITE)})
        ids = narrowed(place, connection, ids, population, caller.actor)
    return _queued(hands.jobs.start_backtest(connection, ids, default_as_of(place.clock()), data.window_days))


@post(
    "/proposals",
    status_code=202,
    opt=needs(Permission.RUN),
    sync_to_thread=True,
    responses=refusals(404, 503),
    response_headers=LOCATION,
    operation_id="startProposals",
    tags=["runs"],
)
def start_proposals(place: ThePlace, hands: TheHands, data: JSONBody[NewProposalsBody]) -> Response[RunRead]:
    """Search a connection for behaviour that precedes an outcome. What is found is listed as proposed hypotheses when the run is done."""
    connection = place.connection(data.connection)
    question, days = _question(place, connection, data)
    return _queued(hands.jobs.start_proposals(connection, question, default_as_of(place.clock()), days))


def _population(asked: PopulationBody | None) -> Population:
    if asked is None:
        return Population()
    read, faults = [], []
    for number, one in enumerate(asked.where):
        try:
            read.append(Comparison.model_validate(one))
        except ValidationError as refused:
            where = f"population.where[{number}]"
            faults += [Fault(".".join((where, *map(str, each["loc"]))), each["msg"].removeprefix("Value error, ")) for each in refused.errors()]
    if faults:
        raise BadInput("The population cannot be read.", faults)
    return Population(asked.leave_out_internal, tuple(read))


def _to_test(place: Workplace, connection: Connection, ids: list[str] | None) -> list[str]:
    with place.store.reading() as tx:
        if ids is None:
            found = [one.id for one in hypotheses.every(tx, connection_id=connection.id, statuses=WORTH_TESTING)]
        else:
            found = list(dict.fromkeys(ids))
            strangers = [one for one in found if hypotheses.get(tx, one).connection_id != connection.id]
            if strangers:
                faults = [
                    Fault(f"hypothesis_ids[{ids.index(one)}]", f"is a hypothesis of another connection than {connection.name}") for one in strangers
                ]
                raise BadInput("Some hypotheses belong to another connection.", faults)
    if not found:
        raise BadInput(f"{connection.name} has no hypothesis to test.", fix="Write one, or ask for proposals.")
    return found


def _question(place: Workplace, connection: Connection, data: NewProposalsBody) -> tuple[dict[str, Any], float]:
    """Unit, entry and outcome in their canonical form, and the days: as asked for, or as a person has confirmed them."""
    if data.outcome is not None:
        days = data.window_days or WINDOW_DAYS
        return question_json(read_question(data.unit, data.entry, data.outcome, days)), days
    if data.entry is not None or data.unit != "person":
        raise BadInput("An entry or a unit needs an outcome.", [Fault("outcome", "is missing")])
    kept = confirmed_question(place, connection)
    return kept.definition, data.window_days or kept.window_days


def _queued(run: Run) -> Response[RunRead]:
    return Response(RunRead.of(run), headers={"Location": f"/api/v1/runs/{run.id}"})


HANDLERS: list[HTTPRouteHandler] = [list_runs, read_run, follow_run, start_backtest, start_proposals]
