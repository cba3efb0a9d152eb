"""`beton bench crash`: does anything get lost or doubled when processes are killed? Real workers, a local PostHog, a receiver that acts once per id.

    each kill    five minutes of simulated time pass; a sweep, deliveries, a backtest or events by webhook begin; somewhere in it SIGKILL
    each round   afterwards everything settles, and is held against what one uninterrupted sweep finds in the same events

On SQLite there is one process, a server that does the jobs; on PostgreSQL there are two workers beside it. They are forked from a process that has
imported everything, so a start is measured without imports. The moments are drawn from a seed; where in the code they fall depends on the machine
as well.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from multiprocessing.context import ForkServerContext
from pathlib import Path
from random import Random
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.sql import SQL, Identifier

from beton.bench.crash_crew import preloaded
from beton.bench.crash_round import Counted, Round
from beton.bench.crash_world import end_of, write_world
from beton.bench.spare_postgres import fast_directory, temporary_postgres
from beton.sandbox.run import Running, running_sandbox
from beton.sandbox.settings import LimitSettings

KILLS_PER_ROUND = 100
"""After so many a new database begins: what a sweep costs grows with what it has found."""

RESTART_SECONDS = 2.0
COLUMNS = ("database", "kills", "lost", "doubled signals", "doubled effects", "repeated attempts", "restart, median s", "restart, most s")
EVENTS = "events.jsonl"
WORKERS = {"sqlite": 0, "postgresql": 2}
"""Beside the server, which does jobs too. SQLite takes one process."""

Tell = Callable[[str], None]


def run_crash_bench(
    *, kills: int, seed: int, databases: tuple[str, ...] = tuple(WORKERS), database_url: str | None = None, tell: Tell = lambda _line: None
) -> dict[str, Any]:
    """Kill so many times, shared among the databases, and count. `database_url` names a PostgreSQL server on which databases may be made and
    dropped; without it one is started for as long as this takes. `holds` tells whether every bound does."""
    shares = {name: kills // len(databases) + (place < kills % len(databases)) for place, name in enumerate(databases)}
    found: dict[str, Counted] = {}
    context = preloaded()
    with TemporaryDirectory(prefix="beton-crash-", dir=fast_directory()) as made:
        folder = Path(made)
        events = folder / EVENTS
        steps = min(KILLS_PER_ROUND, max(shares.values()))
        write_world(events, steps, seed)
        limits = LimitSettings(throttling=False, budget_enforced=False, failure_breaker=False)
        with running_sandbox(events, limits=limits) as posthog:
            for name, share in shares.items():
                with _server(name, database_url) as url:
                    found[name] = _rounds(name, url, share, steps, Random(f"{seed} {name}"), posthog, folder, context, tell)  # noqa: S311 - not a secret
    return _report(found, kills, seed)


def _rounds(
    name: str, url: str, kills: int, steps: int, dice: Random, posthog: Running, folder: Path, context: ForkServerContext, tell: Tell
) -> Counted:
    """As many rounds as the kills need, added up."""
    total = Counted()
    while total.kills < kills:
        wanted = min(KILLS_PER_ROUND, kills - total.kills)
        with _database(name, url, folder) as (database_url, home):
            total += Round(database_url, home, posthog, WORKERS[name], dice, end_of(steps), folder / EVENTS, context).run(wanted)
        tell(f"{name}: {total.kills} of {kills} kills, {total.lost} lost, {total.duplicate_signals + total.duplicate_effects} doubled")
    return total


def _report(found: dict[str, Counted], kills: int, seed: int) -> dict[str, Any]:
    whole = Counted()
    for one in found.values():
        whole += one
    told = {name: _figures(one) for name, one in found.items()}
    bounds = {
        "lost": "0",
        "duplicate_signals": "0",
        "duplicate_effects": "0",
        "duplicate_attempts": "<= kills",
        "backtests_differing": "0",
        "restart_seconds": f"<= {RESTART_SECONDS:g}",
    }
    return {"seed": seed} | _figures(whole) | {"databases": told, "bounds": bounds, "holds": whole.kills == kills and _holds(whole)}


def _figures(one: Counted) -> dict[str, Any]:
    return {
        "kills": one.kills,
        "lost": one.lost,
        "duplicate_signals": one.duplicate_signals,
        "duplicate_effects": one.duplicate_effects,
        "duplicate_attempts": one.duplicate_attempts,
        "restart_seconds": round(max(one.restarts, default=0.0), 3),
        "restart_median_seconds": round(median(one.restarts or [0.0]), 3),
        "signals": one.signals,
        "messages": one.messages,
        "received": one.received,
        "backtests": one.backtests,
        "backtests_differing": one.backtests_differing,
        "killed_during": dict(sorted(one.during.items())),
        "work_interrupted": one.interrupted,
    }


def _holds(one: Counted) -> bool:
    nothing = one.lost + one.duplicate_signals + one.duplicate_effects + one.backtests_differing
    return not nothing and one.duplicate_attempts <= one.kills and max(one.restarts, default=0.0) <= RESTART_SECONDS


def rows(found: dict[str, Any]) -> list[tuple[str, ...]]:
    """For a table: a line per database and one for all."""
    names = ("kills", "lost", "duplicate_signals", "duplicate_effects", "duplicate_attempts", "restart_median_seconds", "restart_seconds")
    return [(title, *(f"{one[name]:g}" for name in names)) for title, one in (*found["databases"].items(), ("all", found))]


# --- databases -------------------------------------------------------------------------------------------------------


@contextmanager
def _server(name: str, url: str | None) -> Generator[str]:
    """Where databases can be made; nothing for SQLite."""
    if name == "sqlite":
        yield ""
    elif url is not None:
        yield url
    else:
        with temporary_postgres() as made:
            yield made


@contextmanager
def _database(name: str, server: str, folder: Path) -> Generator[tuple[str, Path]]:
    """An empty database and a directory for what else its processes keep."""
    fresh = f"beton_crash_{uuid4().hex}"
    home = folder / fresh
    home.mkdir()
    if name == "sqlite":
        yield f"sqlite:///{home / 'beton.sqlite'}", home
        return
    with psycopg.connect(server, autocommit=True) as maintenance:
        maintenance.execute(SQL("CREATE DATABASE {}").format(Identifier(fresh)))
        try:
            parts = conninfo_to_dict(server) | {"dbname": fresh}
            yield _as_url(parts), home
        finally:
            maintenance.execute(SQL("DROP DATABASE {} WITH (FORCE)").format(Identifier(fresh)))


def _as_url(parts: dict[str, Any]) -> str:
    """A URL that libpq and SQLAlchemy read alike: everything but the name of the database stands behind the question mark."""
    more = "&".join(f"{key}={quote(str(value), safe='')}" for key, value in parts.items() if key not in ("dbname", "user", "password"))
    who = quote(str(parts.get("user", "")), safe="")
    secret = f":{quote(str(parts['password']), safe='')}" if parts.get("password") else ""
    return f"postgresql://{who}{secret}{'@' if who else ''}/{parts['dbname']}?{more}"
