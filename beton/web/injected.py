"""What handlers are handed, by the names of their parameters. The composition root provides it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from litestar import Request
from litestar.datastructures import State
from litestar.di import NamedDependency, Provide
from litestar.params import SkipValidation
from pydantic import SecretStr

from beton.errors import Unauthorized
from beton.roles import Caller
from beton.store.records import Connection, Run
from beton.work import connecting
from beton.work.observing import observe
from beton.work.workplace import Workplace

Ask = Request[Caller | None, Any, State]


class Jobs(Protocol):
    """Long work that goes on after the answer. Each call queues a run, whose id finds it again."""

    def start_backtest(self, connection: Connection, hypothesis_ids: Sequence[str], as_of: datetime, window_days: float) -> Run:
        """Test kept hypotheses of one connection on `[as_of - window_days, as_of)`."""
        ...

    def start_proposals(self, connection: Connection, question: dict[str, Any], as_of: datetime, window_days: float) -> Run:
        """Search for hypotheses. `question` holds unit, entry and outcome in the language's JSON form."""
        ...


TryRoute = Callable[[Workplace, str], int | None]
"""Sends a message that is no signal along a route, known by name or id: the receiver's status where it has one, or the `DestinationError` that was
met."""


@dataclass(frozen=True)
class NewProject:
    """A PostHog project as somebody has written it down."""

    name: str
    host: str
    project_id: str
    api_key: SecretStr
    share: float


class Reach:
    """What handlers ask of PostHog while the caller waits, from their thread: some seconds each. Raises `PostHogError`."""

    sample: Callable[[Workplace, str], Connection] | None = None
    """Starts the sample project and connects it for an actor; `None` where it is not installed."""

    def connect(self, place: Workplace, project: NewProject, actor: str) -> Connection:
        """Keep a project that passes all checks."""
        return asyncio.run(connecting.connect(place, **vars(project), actor=actor))

    def check(self, place: Workplace, connection: Connection) -> bool:
        """Check a kept connection again, and remember how it went."""
        return asyncio.run(connecting.recheck(place, connection)).ok

    def replace_key(self, place: Workplace, connection: Connection, api_key: SecretStr, actor: str) -> None:
        """Another key, if it passes every check."""
        asyncio.run(connecting.replace_key(place, connection, api_key, actor=actor))

    def read_names(self, place: Workplace, connection: Connection) -> None:
        """Read the names of a project anew."""
        asyncio.run(observe(place, connection))


@dataclass(frozen=True)
class Hands:
    """Work that reaches out of this process: durable jobs, one request to a stranger, and some to PostHog."""

    jobs: Jobs
    try_route: TryRoute
    reach: Reach


ThePlace = NamedDependency[SkipValidation[Workplace]]
"""Where the work is done, seen from the caller's workspace; on public addresses, from the first one."""

TheHands = NamedDependency[SkipValidation[Hands]]
TheCaller = NamedDependency[SkipValidation[Caller]]
"""Who is asking. Not to be had on public addresses."""

TheActor = NamedDependency[SkipValidation[str]]
"""Who is asking, as the audit log will name them."""

NAMES = ("place", "hands", "caller", "actor")
"""What handlers may ask for."""


def caller_of(request: Ask) -> Caller:
    """Who is asking."""
    if request.user is None:
        raise Unauthorized("Nobody is signed in.")
    return request.user


def actor_of(request: Ask) -> str:
    """Who is asking, by name and id."""
    return caller_of(request).actor


def provided(place: Workplace, hands: Hands) -> dict[str, Provide]:
    """The dependencies of all handlers."""

    def place_of(request: Ask) -> Workplace:
        return place if request.user is None else place.of(request.user.workspace_id)

    return {
        "place": Provide(place_of, sync_to_thread=False),
        "hands": Provide(lambda: hands, sync_to_thread=False),
        "caller": Provide(caller_of, sync_to_thread=False),
        "actor": Provide(actor_of, sync_to_thread=False),
    }
