"""The application over a store of its own, with jobs that only queue and receivers that only answer."""

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from litestar import Litestar
from litestar.testing import TestClient
from pydantic import SecretStr

from beton.app import create_app
from beton.errors import DestinationTimeout, PostHogError
from beton.roles import Permission
from beton.settings import Settings
from beton.store import api_keys, connections, runs, taxonomies
from beton.store.passwords import Passwords
from beton.store.records import Connection, Run
from beton.store.store import Store
from beton.web.access.limits import Limiter
from beton.web.injected import NewProject, Reach
from beton.work.workplace import Workplace
from tests.web.contract import Contract

URL = "http://127.0.0.1:8321"


@dataclass
class FakeJobs:
    """Queues runs and does nothing."""

    place: Workplace
    asked: list[dict[str, Any]] = field(default_factory=list)

    def start_backtest(self, connection: Connection, hypothesis_ids: Sequence[str], as_of: datetime, window_days: float) -> Run:
        return self._queue("backtest", connection, {"hypothesis_ids": list(hypothesis_ids), "as_of": as_of.isoformat(), "window_days": window_days})

    def start_proposals(self, connection: Connection, question: dict[str, Any], as_of: datetime, window_days: float) -> Run:
        return self._queue("propose", connection, {"question": question, "as_of": as_of.isoformat(), "window_days": window_days})

    def _queue(self, kind: Any, connection: Connection, request: dict[str, Any]) -> Run:
        self.asked.append(request)
        with self.place.store.transaction() as tx:
            return runs.queue(tx, kind, connection_id=connection.id, request=request)


@dataclass
class FakeReceiver:
    """Answers every test message with `status`, or not at all."""

    status: int | None = 204

    def __call__(self, place: Workplace, name_or_id: str) -> int:
        if self.status is None:
            raise DestinationTimeout("The receiver did not answer within 15 s.")
        return self.status


@dataclass
class FakeReach(Reach):
    """A PostHog project that knows a few names, or refuses with `problem`."""

    problem: PostHogError | None = None
    known: dict[str, Any] = field(default_factory=dict)

    def connect(self, place: Workplace, project: NewProject, actor: str) -> Connection:
        self._refuse()
        with place.store.transaction() as tx:
            key = project.api_key.get_secret_value()
            made = connections.add(tx, name=project.name, host=project.host, project_id=project.project_id, api_key=key, actor=actor)
            return connections.checked(tx, made.id, "working")

    def check(self, place: Workplace, connection: Connection) -> bool:
        with place.store.transaction() as tx:
            connections.checked(
                tx, connection.id, "failing" if self.problem else "working", problem=None if self.problem is None else self.problem.message
            )
        return self.problem is None

    def replace_key(self, place: Workplace, connection: Connection, api_key: SecretStr, actor: str) -> None:
        self._refuse()
        with place.store.transaction() as tx:
            connections.replace_key(tx, connection.id, api_key.get_secret_value(), actor=actor)

    def read_names(self, place: Workplace, connection: Connection) -> None:
        self._refuse()
        with place.store.transaction() as tx:
            taxonomies.save(tx, connection.id, self.known or NAMES, None)

    def _refuse(self) -> None:
        if self.problem is not None:
            raise self.problem


NAMES = {
    "taken_at": "2026-03-02T00:00:00Z", "window_days": 30, "properties": [], "group_types": [], "notes": [],
    "events": [
        {"name": name, "volume": volume, "units": volume // 2}
        for name, volume in (("page_viewed", 5000), ("user_signed_up", 900), ("invited_teammate", 400), ("subscription_started", 130))
    ],
}  # fmt: skip


@pytest.fixture
def place(store: Store, tmp_path: Path, clock) -> Workplace:
    return Workplace(Settings(data_dir=tmp_path), store, clock)


@pytest.fixture
def jobs(place: Workplace) -> FakeJobs:
    return FakeJobs(place)


@pytest.fixture
def receiver() -> FakeReceiver:
    return FakeReceiver()


@pytest.fixture
def reach() -> FakeReach:
    return FakeReach()


class StandIn:
    """Passes everything on to whatever stands behind it by then."""

    def __init__(self, behind: Callable[[], Any], **fixed: Any) -> None:
        vars(self).update(fixed, _behind=behind)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._behind(), name)

    def __call__(self, *given: Any, **named: Any) -> Any:
        return self._behind()(*given, **named)


@dataclass
class Stage:
    """One application for all tests of a process, since making it takes longer than most of them; each test brings what it stands on."""

    settings: Settings
    behind: dict[str, Any] = field(default_factory=dict)
    limiters: list[Limiter] = field(default_factory=list)

    def build(self) -> Litestar:
        """The application. What counts the requests is remembered, to be emptied for the next test."""
        store, made = StandIn(lambda: self.behind["place"].store), Limiter.__init__

        def note(limiter: Limiter, limit: int, seconds: float) -> None:
            made(limiter, limit, seconds)
            self.limiters.append(limiter)

        place: Any = StandIn(lambda: self.behind["place"], store=store, settings=self.settings, clock=lambda: self.behind["place"].clock())
        hands: dict[str, Any] = {name: StandIn(partial(self.behind.__getitem__, name)) for name in ("jobs", "try_route", "reach")}
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Limiter, "__init__", note)
            return create_app(place, host_names=HOSTS, passwords=Passwords(quick=True), **hands)

    def set(self, **behind: Any) -> None:
        """For the next test."""
        self.behind |= behind
        for one in self.limiters:
            one._windows.clear()


HOSTS = ["beton.example.test"]


@pytest.fixture(scope="session")
def stage(tmp_path_factory: pytest.TempPathFactory) -> tuple[Stage, Litestar]:
    made = Stage(Settings(data_dir=tmp_path_factory.mktemp("stage")))
    return made, made.build()


@pytest.fixture
def app(stage: tuple[Stage, Litestar], place: Workplace, jobs: FakeJobs, receiver: FakeReceiver, reach: FakeReach) -> Litestar:
    hands: dict[str, Any] = {"jobs": jobs, "try_route": receiver, "reach": reach}
    if place.settings != stage[0].settings.model_copy(update={"data_dir": place.settings.data_dir}):
        return create_app(place, host_names=HOSTS, passwords=Passwords(quick=True), **hands)
    stage[0].set(place=place, **hands)
    return stage[1]


@pytest.fixture
def token(store: Store) -> str:
    with store.transaction() as tx:
        return api_keys.issue(tx, "Ada", list(Permission), actor="set-up")[1]


@pytest.fixture
def stranger(app: Litestar) -> Generator[TestClient]:
    """Somebody without a key."""
    with TestClient(app, base_url=URL, raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def api(stranger: TestClient, token: str) -> Contract:
    """Somebody with a key, who holds every answer against the published description."""
    return Contract(stranger, {"Authorization": f"Bearer {token}"})


@pytest.fixture
def connection(store: Store) -> Connection:
    with store.transaction() as tx:
        return connections.add(tx, name="shop", host="https://eu.posthog.com", project_id="17", api_key="phx_canaryCANARYcanary", actor="ada")
