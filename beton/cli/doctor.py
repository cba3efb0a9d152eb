"""`beton doctor`: is everything in order, from the settings to PostHog, and if not, what to do. It keeps only what it learns of connections."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from beton.cli.opening import need_set_up
from beton.cli.options import AsJson, now
from beton.cli.printing import print_json, say, write
from beton.errors import BetonError

if TYPE_CHECKING:
    from beton.settings import Settings
    from beton.store.records import Connection
    from beton.work.workplace import Workplace

MARKS = {True: "ok    ", False: "WRONG ", None: "      "}


@dataclass(frozen=True)
class Finding:
    """One thing looked at: `ok` is None for a remark. `exit_code` is what the command ends with when it is wrong."""

    about: str
    ok: bool | None
    sentence: str
    fix: str = ""
    code: str = ""
    exit_code: int = field(default=0, repr=False)


def doctor(
    name: Annotated[str | None, Parameter(help="Look at this connection only.")] = None,
    /,
    *,
    as_json: AsJson = False,
) -> int:
    """Check the installation and its connections, and say what to do."""
    found = []
    for one in findings(name):
        found.append(one)
        if not as_json:
            write(f"{MARKS[one.ok]}{one.about}: {one.sentence}")
            if one.fix:
                write(f"      {one.fix}" + (f" ({one.code})" if one.code else ""))
    wrong = [one for one in found if one.ok is False]
    if as_json:
        plain = [{key: value for key, value in asdict(one).items() if key != "exit_code"} for one in found]
        print_json({"ok": not wrong, "findings": plain})
    elif not wrong:
        say("Everything is in order.")
    return min((one.exit_code for one in wrong), key=(2, 1, 3).index, default=0)


def findings(name: str | None) -> Iterator[Finding]:
    """From the bottom up; what rests on a thing that is wrong is not looked at."""
    try:
        settings = yield from _settings()
        need_set_up(settings)
        yield from _installed(settings, name)
    except BetonError as error:
        yield _wrong("set-up", error)


def _wrong(about: str, error: BetonError) -> Finding:
    return Finding(about, False, error.message, error.fix, error.code, error.exit_code)


def _settings() -> Any:
    from beton.settings import LOCAL_KEY_FILE, load_settings, unknown_variables

    settings = load_settings()
    yield Finding("settings", True, f"They can be used; data lie in {settings.data_dir}.")
    for variable in unknown_variables(list(os.environ)):
        yield Finding("settings", None, f"{variable} names no setting.", "Check its spelling.")
    place = "BETON_SECRET_KEY" if settings.secret_key else str(settings.data_dir / LOCAL_KEY_FILE)
    yield Finding("secret key", None, f"Stored credentials are sealed with the key in {place}.")
    return settings


def _installed(settings: Settings, name: str | None) -> Iterator[Finding]:
    from beton.settings import with_local_key
    from beton.store.migrate import revisions
    from beton.store.store import open_store
    from beton.work.workplace import Workplace

    known = with_local_key(settings)  # complains of a key file that others can read
    yield Finding("secret key", True, "It is there and can be used.")
    store = open_store(known, now, upgrade=False)
    try:
        place = Workplace(known, store, now)
        yield Finding("database", True, f"It answers; its schema is {revisions(store.engine)[0]}.")
        yield from _queue(place)
        yield from _sources(place)
        yield from _jobs(known)
        for connection in _connections(place, name):
            yield from _connection(place, connection)
    finally:
        store.close()


def _queue(place: Workplace) -> Iterator[Finding]:
    from beton.store import deliveries, routes, runs
    from beton.store.records import RunStatus

    with place.store.reading() as tx:
        since = deliveries.waiting_since(tx)
        waiting = runs.listing(tx, statuses=(RunStatus.QUEUED, RunStatus.RUNNING), limit=500).data
        every = routes.every(tx)
    late = since is not None and (place.clock() - since).total_seconds() > 120
    told = "Nothing waits to be sent." if since is None else f"The oldest delivery has been due for {_ago(place.clock(), since)}."
    fix = "Start the jobs with: beton serve, or beton worker" if late else ""
    yield Finding("deliveries", not late, told, fix, "queue.late" if late else "", 3 if late else 0)
    for route in every:
        if not route.enabled:
            yield Finding(f"route {route.name}", None, f"It is switched off. {route.problem or ''}".strip(), f"Run: beton routes enable {route.name}")
    if waiting:
        yield Finding("runs", None, f"{len(waiting)} wait or run; the oldest since {_ago(place.clock(), waiting[-1].created_at)}.")


def _sources(place: Workplace) -> Iterator[Finding]:
    from beton.work.listening import all_heard

    for one in all_heard(place):
        last = "Nothing has come yet." if one.last_arrival is None else f"The newest event came {_ago(place.clock(), one.last_arrival)} ago."
        if one.source.problem:
            yield Finding(f"source {one.source.name}", False, one.source.problem, "Look at the destination in PostHog, and enable it.", exit_code=3)
        elif one.source.status == "active":
            yield Finding(f"source {one.source.name}", True, last)
        else:
            told = "is being tried out" if one.source.status == "testing" else "takes nothing"
            yield Finding(f"source {one.source.name}", None, f"It {told}. {last}", f"Run: beton sources activate {one.source.name}")


def _jobs(settings: Settings) -> Iterator[Finding]:
    from beton.store.durable import left_behind

    behind = left_behind(settings)
    if behind:
        yield Finding("jobs", None, f"{len(behind)} unfinished jobs belong to another version: {', '.join(behind[:5])}.", "Start them anew.")
    else:
        yield Finding("jobs", True, "None was left behind by another version.")


def _connections(place: Workplace, name: str | None) -> list[Connection]:
    from beton.store import connections

    if name is not None:
        return [place.connection(name)]
    with place.store.reading() as tx:
        return connections.every(tx)


def _connection(place: Workplace, connection: Connection) -> Iterator[Finding]:
    from beton.store import taxonomies
    from beton.work.connecting import recheck

    about = f"connection {connection.name}"
    report = _tried(lambda: asyncio.run(recheck(place, connection)))
    if isinstance(report, BetonError):
        yield _wrong(about, report)
        return
    for check in report.checks:
        failed = check.ok is False
        ok = None if failed and not check.required else check.ok
        code = _exit_code(check.code) if failed and check.required else 0
        yield Finding(f"{about}, {check.name}", ok, check.sentence, check.fix if failed else "", check.code or "", code)
    with place.store.reading() as tx:
        snapshot = taxonomies.latest(tx, connection.id)
    told = "not read yet" if snapshot is None else f"read {_ago(place.clock(), snapshot.taken_at)} ago"
    yield Finding(f"{about}, taxonomy", None, f"It was {told}.", f"Run: beton taxonomy {connection.name}" if snapshot is None else "")
    yield Finding(f"{about}, budget", None, asyncio.run(_budget(place, connection)))
    yield Finding(f"{about}, by hand", None, report.curl)


def _tried(work: Callable[[], Any]) -> Any:
    try:
        return work()
    except BetonError as error:
        return error


def _exit_code(code: str | None) -> int:
    """Whether waiting may help, as the list of PostHog's failures says it."""
    from beton.posthog.codes import FAILURES

    known = FAILURES.get(code or "")
    return known.kind.exit_code if known else 2


async def _budget(place: Workplace, connection: Connection) -> str:
    async with place.client(connection) as client:
        return str(await client.limits.describe())


def _ago(at: datetime, since: datetime) -> str:
    minutes = max(0, int((at - since).total_seconds() // 60))
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h" if minutes < 2880 else f"{minutes // 1440} d"
