"""Requests made from the description by a tool that does not know us: no fault of ours, and no answer outside the description.

Every check of the tool is on, and its phases are: what lies at and beyond the limits of every parameter and field, random requests, and sequences in
which one request uses what another has answered. The seed is fixed, and ids are drawn with it.
"""

from collections import Counter
from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import schemathesis
import sqlalchemy as sa
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import Status, StopReason, events, from_schema

from beton.app import create_app
from beton.lifecycle import Status as Standing
from beton.roles import Permission
from beton.settings import Settings
from beton.store import api_keys, connections, routes, runs
from beton.store.columns import secrets
from beton.store.engines import open_engine
from beton.store.migrate import migrate
from beton.store.passwords import Passwords
from beton.store.people_tables import ApiKeyRow
from beton.store.records import Run, RunStatus
from beton.store.sealing import Sealer
from beton.store.store import Store
from beton.store.tables import RunRow
from beton.work.workplace import Workplace
from tests.store.postgres import fast_directory
from tests.web.conftest import FakeJobs, FakeReach, FakeReceiver
from tests.web.steps import fired, kept, result

SEED = 20261120
HOST = "testserver"
PHASES = ("coverage", "fuzzing", "stateful")
REFUSED = ["2xx", 400, 401, 403, 404, 409, 422, 429]
"""Statuses for a request that has the described shape. Definitions of hypotheses are objects to the description, and have
a language of their own; a text with a NUL (400) no database could hold."""


@dataclass
class Told:
    """What came of it: cases by phase, answers by status, and everything that was found."""

    cases: Counter[str] = field(default_factory=Counter)
    answers: Counter[int] = field(default_factory=Counter)
    found: list[str] = field(default_factory=list)


class InstantJobs(FakeJobs):
    """Queues runs that are over at once, so that following one ends."""

    def _queue(self, kind: Any, connection: Any, request: dict[str, Any]) -> Run:
        run = super()._queue(kind, connection, request)
        with self.place.store.transaction() as tx:
            return runs.finish(tx, run.id, RunStatus.DONE)


@pytest.fixture
def full(clock: Any, monkeypatch: pytest.MonkeyPatch) -> Generator[Workplace]:
    """A workspace with something of everything. On memory where the system has it: thousands of changes are each waited for."""
    drawn = Random(SEED)
    monkeypatch.setattr(secrets, "token_bytes", drawn.randbytes)
    with TemporaryDirectory(dir=fast_directory()) as folder:
        engine = open_engine(f"sqlite:///{folder}/beton.db")
        migrate(engine)
        store = Store(engine, Sealer({"test": b"k" * 32}), clock)
        place = Workplace(Settings(data_dir=Path(folder), requests_per_minute=10**9), store, clock)
        stock(store)
        yield place
        store.close()


def stock(store: Store) -> None:
    """A project with something of everything, unless it is there: the tool also removes it."""
    with store.transaction() as tx:
        if any(one.name == "shop" for one in connections.every(tx)):
            return
        shop = connections.add(tx, name="shop", host="https://eu.posthog.com", project_id="17", api_key="phx_canaryCANARYcanary", actor="ada")
        known = routes.every(tx)
    if not known:  # routes outlive projects, and their names are taken
        fired(store, shop)
    for days, status in enumerate(Standing, 20):
        kept(store, shop, days=days, status=status, tested=result())
    with store.transaction() as tx:
        tx.session.execute(sa.update(RunRow).values(status=RunStatus.DONE, finished_at=tx.now))


def ask(place: Workplace, most: int) -> Told:
    """Run all phases with up to `most` random requests to every address."""
    with place.store.transaction() as tx:
        mine, token = api_keys.issue(tx, "Ada", list(Permission), actor="set-up")
    app = create_app(place, jobs=InstantJobs(place), try_route=FakeReceiver(), reach=FakeReach(), host_names=[HOST], passwords=Passwords(quick=True))
    schema = schemathesis.openapi.from_asgi("/openapi.json", app, config=config(token, most))
    told = Told()
    changed = True

    @schemathesis.hook
    def before_call(context: Any, case: Any, kwargs: Any) -> None:
        """The tool finds the key that it has, and revokes it; it removes the project too. Whoever only reads changes nothing."""
        nonlocal changed
        was, changed = changed, case.method.upper() not in ("GET", "HEAD", "OPTIONS", "TRACE")
        if not was:
            return
        stock(place.store)
        with place.store.transaction() as tx:
            tx.session.execute(sa.update(ApiKeyRow).where(sa.column("id") == mine.id).values(revoked_at=None))

    try:
        for event in from_schema(schema).execute():
            note(told, event)
    finally:
        schemathesis.hooks.unregister_all()
    return told


def config(token: str, most: int) -> SchemathesisConfig:
    return SchemathesisConfig.from_dict(
        {
            "seed": SEED,
            "headers": {"Authorization": f"Bearer {token}"},
            "continue-on-failure": True,
            "generation": {"max-examples": most, "deterministic": True, "database": "none", "no-shrink": True},
            "checks": {"enabled": True, "positive_data_acceptance": {"expected-statuses": REFUSED}},
            # What cannot be learned by asking: the one connection by its name.
            "dictionaries": {"connections": {"values": ["shop"]}},
            "parameters": {f"{place}.connection": {"dictionary": "connections", "probability": 0.8} for place in ("path", "query", "body")},
            "phases": {"examples": {"enabled": False}},  # the description has none
        }
    )


def note(told: Told, event: Any) -> None:
    if isinstance(event, events.NonFatalError | events.FatalError | events.Interrupted):
        told.found.append(str(event))
    if isinstance(event, events.EngineFinished) and event.stop_reason is not StopReason.COMPLETED:
        told.found.append(str(event.stop_reason))
    if not isinstance(event, events.ScenarioFinished):
        return
    told.cases[event.phase.value] += len(event.recorder.interactions)
    told.answers.update(one.response.status_code for one in event.recorder.interactions.values() if one.response)
    failed = [check.failure_info for checks in event.recorder.checks.values() for check in checks if check.status is Status.FAILURE]
    told.found += [f"{one.failure}\n{one.code_sample}" for one in failed if one]


def check(told: Told, least: int) -> None:
    assert not told.found, "\n\n".join(told.found[:5])
    assert all(told.cases[phase] for phase in PHASES), told.cases
    assert told.cases.total() >= least, told.cases
    assert all(told.answers[status] for status in (200, 201, 202, 404, 409, 422)), told.answers


def test_no_request_from_the_description_is_answered_outside_it(full: Workplace) -> None:
    check(ask(full, 5), 500)


@pytest.mark.long
def test_no_request_of_twenty_thousand_is(full: Workplace) -> None:
    check(ask(full, 440), 20_000)
