"""Whom signals reach: the stop of all sending, cooldowns, suppression lists, snoozes, and how accounts are told."""

from __future__ import annotations

from typing import Annotated

from litestar import delete, get, post, put
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, JSONBody, QueryParameter

from beton.roles import Permission
from beton.signals import SuppressionList
from beton.store import reach
from beton.store.route_rules import Cooldown
from beton.web.access.policy import needs
from beton.web.api.asking import Cursor, Limit, listed, refusals
from beton.web.api.reach_resources import (
    AccountsBody,
    AccountsRead,
    ClearBody,
    SendingRead,
    SendingStarted,
    SnoozeBody,
    SnoozePage,
    SnoozeRead,
    SnoozeSignalBody,
    StartBody,
    StopBody,
    SuppressBody,
    SuppressionPage,
    SuppressionRead,
    SuppressionsAdded,
    SuppressionsCleared,
)
from beton.web.api.rule_resources import CooldownBody
from beton.web.injected import TheActor, ThePlace
from beton.work import dispatching, knowing, reaching

ByList = Annotated[SuppressionList | None, QueryParameter(name="list", description="One of the lists; null: all.")]


@get("/sending", opt=needs(Permission.READ_ROUTES), sync_to_thread=True, responses=refusals(), operation_id="readSending", tags=["reach"])
def read_sending(place: ThePlace) -> SendingRead:
    """Whether anything is sent at all, and how often the same may come up in the workspace."""
    return SendingRead.of(reaching.standing(place))


@post(
    "/sending/stop",
    status_code=200,
    opt=needs(Permission.MANAGE_ROUTES),
    sync_to_thread=True,
    responses=refusals(),
    operation_id="stopSending",
    tags=["reach"],
)
def stop_sending(place: ThePlace, actor: TheActor, data: JSONBody[StopBody]) -> SendingRead:
    """Send nothing of this workspace until somebody starts it again. What is on its way arrives; all else waits."""
    dispatching.stop(place, actor=actor, reason=data.reason)
    return SendingRead.of(reaching.standing(place))


@post(
    "/sending/start",
    status_code=200,
    opt=needs(Permission.MANAGE_ROUTES),
    sync_to_thread=True,
    responses=refusals(),
    operation_id="startSending",
    tags=["reach"],
)
def start_sending(place: ThePlace, actor: TheActor, data: JSONBody[StartBody]) -> SendingStarted:
    """Send again. What has waited goes, or is given up."""
    return SendingStarted(dropped=dispatching.start(place, actor=actor, drop=data.drop))


@put(
    "/sending/cooldown",
    opt=needs(Permission.MANAGE_ROUTES),
    sync_to_thread=True,
    responses=refusals(),
    operation_id="chooseCooldown",
    tags=["reach"],
)
def choose_cooldown(place: ThePlace, actor: TheActor, data: JSONBody[CooldownBody]) -> SendingRead:
    """How often the same may come up again, over all hypotheses and routes."""
    reaching.choose_cooldown(place, Cooldown(**data.model_dump()), actor=actor)
    return SendingRead.of(reaching.standing(place))


@get("/suppressions", opt=needs(Permission.READ_SIGNALS), sync_to_thread=True, responses=refusals(), operation_id="listSuppressions", tags=["reach"])
def list_suppressions(place: ThePlace, wanted: ByList = None, limit: Limit = 50, cursor: Cursor = None) -> SuppressionPage:
    """Who gets no signals, the last added first."""
    return listed(
        SuppressionPage,
        place.store,
        cursor,
        lambda tx: reach.suppressed(tx, name=wanted, limit=limit, after=cursor),
        lambda found: [SuppressionRead.of(one) for one in found],
    )


@post(
    "/suppressions",
    status_code=200,
    opt=needs(Permission.MANAGE_ROUTES),
    sync_to_thread=True,
    responses=refusals(),
    operation_id="addSuppressions",
    tags=["reach"],
)
def add_suppressions(place: ThePlace, actor: TheActor, data: JSONBody[SuppressBody]) -> SuppressionsAdded:
    """Put some on a list. Signals about them are written down and go nowhere."""
    named, added = reaching.suppress(place, data.list, "\n".join(data.entries), actor=actor)
    return SuppressionsAdded(named=named, added=added)


@delete(
    "/suppressions/{suppression_id:str}",
    status_code=200,
    opt=needs(Permission.MANAGE_ROUTES),
    sync_to_thread=True,
    responses=refusals(404),
    operation_id="removeSuppression",
    tags=["reach"],
)
def remove_suppression(place: ThePlace, actor: TheActor, suppression_id: FromPath[str]) -> SuppressionRead:
    """Take a line off its list; it is sent back once more."""
    return SuppressionRead.of(reaching.unsuppress(place, suppression_id, actor=actor))


@post(
    "/suppressions/clear",
    status_code=200,
    opt=needs(Permission.MANAGE_ROUTES),
    sync_to_thread=True,
    responses=refusals(),
    operation_id="clearSuppressions",
    tags=["reach"],
)
def clear_suppressions(place: ThePlace, actor: TheActor, data: JSONBody[ClearBody]) -> SuppressionsCleared:
    """Empty a list, such as before a new one is brought in."""
    return SuppressionsCleared(removed=reaching.clear(place, data.list, actor=actor))


@get("/snoozes", opt=needs(Permission.READ_SIGNALS), sync_to_thread=True, responses=refusals(), operation_id="listSnoozes", tags=["reach"])
def list_snoozes(place: ThePlace) -> SnoozePage:
    """About whom nothing is sent for a while, the first to end first."""
    found = reaching.standing(place).snoozes
    return SnoozePage(data=[SnoozeRead.of(one) for one in found], next_cursor=None, has_more=False)


@post(
    "/snoozes",
    status_code=200,
    opt=needs(Permission.WORK_SIGNALS),
    sync_to_thread=True,
    responses=refusals(),
    operation_id="addSnooze",
    tags=["reach"],
)
def add_snooze(place: ThePlace, actor: TheActor, data: JSONBody[SnoozeBody]) -> SnoozeRead:
    """Send nothing about a unit, an account or a company until then; another date replaces the first."""
    return SnoozeRead.of(reaching.snooze(place, data.who, data.until, actor=actor, reason=data.reason))


@delete(
    "/snoozes/{snooze_id:str}",
    status_code=200,
    opt=needs(Permission.WORK_SIGNALS),
    sync_to_thread=True,
    responses=refusals(404),
    operation_id="endSnooze",
    tags=["reach"],
)
def end_snooze(place: ThePlace, actor: TheActor, snooze_id: FromPath[str]) -> SnoozeRead:
    """End a snooze; it is sent back once more."""
    return SnoozeRead.of(reaching.wake(place, snooze_id, actor=actor))


@post(
    "/signals/{signal_id:str}/snooze",
    status_code=200,
    opt=needs(Permission.WORK_SIGNALS),
    sync_to_thread=True,
    responses=refusals(404, 409),
    operation_id="snoozeSignal",
    tags=["reach"],
)
def snooze_signal(place: ThePlace, actor: TheActor, signal_id: FromPath[str], data: JSONBody[SnoozeSignalBody]) -> SnoozePage:
    """Send nothing more about the unit of a signal, or about its whole account, until then."""
    made = reaching.snooze_signal(place, signal_id, data.whom, data.until, actor=actor, reason=data.reason)
    return SnoozePage(data=[SnoozeRead.of(one) for one in made], next_cursor=None, has_more=False)


@get(
    "/connections/{connection:str}/accounts",
    opt=needs(Permission.READ),
    sync_to_thread=True,
    responses=refusals(404),
    operation_id="readAccounts",
    tags=["reach"],
)
def read_accounts(place: ThePlace, connection: FromPath[str]) -> AccountsRead:
    """Which properties of a project tell accounts and owners, as it was set."""
    found = place.connection(connection)
    with place.store.reading() as tx:
        return AccountsRead.of(knowing.telling(tx, found.id))


@put(
    "/connections/{connection:str}/accounts",
    opt=needs(Permission.MANAGE_CONNECTIONS),
    sync_to_thread=True,
    responses=refusals(404),
    operation_id="setAccounts",
    tags=["reach"],
)
def set_accounts(place: ThePlace, actor: TheActor, connection: FromPath[str], data: JSONBody[AccountsBody]) -> AccountsRead:
    """Set which properties of a project tell accounts and owners."""
    return AccountsRead.of(knowing.set_telling(place, connection, knowing.Telling(**data.model_dump()), actor=actor))


HANDLERS: list[HTTPRouteHandler] = [
    read_sending, stop_sending, start_sending, choose_cooldown, list_suppressions, add_suppressions, remove_suppression, clear_suppressions,
    list_snoozes, add_snooze, end_snooze, snooze_signal, read_accounts, set_accounts,
]  # fmt: skip
