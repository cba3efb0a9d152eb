"""The job engine (DBOS): workflows that survive a crash, on the database we have anyway.

On SQLite it has a file of its own beside ours, and one process: a file lock keeps a second one out, and a restart takes up what the last run
left. On PostgreSQL it has a schema of its own (`dbos`), and any number of processes.

When a process dies, DBOS resumes its workflows only in a process with the same executor id. So that the others can take over, each holds an
advisory lock on its own id for as long as it lives, in a session of its own; the lock goes with the session, however the process ends. Whoever
can take the lock of an executor that still has pending workflows knows it to be dead, and re-queues them. Steps that had finished are not
repeated. If only the session broke, the old process may still run: DBOS makes it step aside at its next checkpoint, and repeated steps find
their rows already there, since everything the store writes is known by its content.

The lock's session must not go through a pooler in transaction mode.
"""

import fcntl
import logging
import os
import secrets
import socket
import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from importlib.metadata import version
from pathlib import Path
from typing import IO, Any

import psycopg
import sqlalchemy as sa
from dbos import DBOS, DBOSClient, DBOSConfig, DBOSPortableJSONSerializer, EnqueueOptions
from sqlalchemy import event
from sqlalchemy.engine import URL
from sqlalchemy.exc import OperationalError, ProgrammingError

from beton.errors import StoreError
from beton.settings import Settings
from beton.store.engines import Unavailable, database_url

APPLICATION = "beton"
SQLITE_EXECUTOR = "beton-sqlite"
"""On SQLite there is one process, which takes up what the one before it left: hence one id."""
LOOK_EVERY = timedelta(seconds=5)
GRACE = timedelta(seconds=3)
POLL = timedelta(milliseconds=200)
"""SQLite cannot notify: whoever waits for a workflow or a message looks this often."""
UNFINISHED = ["PENDING", "ENQUEUED", "DELAYED"]
_KEY = "hashtextextended('beton-executor:' || %s, 0)"
_LOG = logging.getLogger(__name__)

Takeover = Callable[[str, Sequence[str]], None]
"""Told of each takeover: the dead executor's id and the ids of its workflows."""


@dataclass
class Durable:
    """The running job engine of this process. There is one at most."""

    executor_id: str
    application_version: str
    _hold: "_FileLock | _ExecutorLock" = field(repr=False)

    def left_behind(self) -> list[str]:
        """Ids of unfinished workflows of other versions. They are never resumed by this one, whose code may differ: cancel and start anew."""
        found = DBOS.list_workflows(status=UNFINISHED, load_input=False, load_output=False)
        return [workflow.workflow_id for workflow in found if workflow.app_version not in (None, self.application_version)]


def start_durable(
    settings: Settings, executor_id: str | None = None, *, every: timedelta = LOOK_EVERY, on_takeover: Takeover | None = None
) -> Durable:
    """Start the job engine; the modules with workflows have to be imported before, queues and schedules registered after.

    `every` is how often a PostgreSQL process looks for dead ones. Raises `StoreError` when the database cannot be reached, or when another
    process holds the SQLite file or the executor id.
    """
    url = database_url(settings.effective_database_url)
    release = version(APPLICATION)
    config: DBOSConfig = {
        "name": APPLICATION,
        "application_version": release,  # the default, a hash of the code, would strand every pending workflow at each edit
        "serializer": DBOSPortableJSONSerializer(),  # the default is pickle; this one takes JSON values only
        "log_level": "WARNING",
    }
    hold: _FileLock | _ExecutorLock
    try:
        if url.get_backend_name() == "sqlite":
            hold = _FileLock(jobs_file(url))
            config |= {"executor_id": executor_id or SQLITE_EXECUTOR, "system_database_engine": hold.engine}
            config["notification_listener_polling_interval_sec"] = POLL.total_seconds()
        else:
            hold = _ExecutorLock(url, executor_id or f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}")
            config |= {"executor_id": hold.executor_id, "system_database_url": url.render_as_string(hide_password=False)}
        _launch(config, hold)
    except (OperationalError, psycopg.OperationalError) as error:
        raise Unavailable("The job engine cannot reach its database.") from error
    if isinstance(hold, _ExecutorLock):
        hold.watch(every, on_takeover)
    return Durable(str(config["executor_id"]), release, hold)


def left_behind(settings: Settings) -> list[str]:
    """The same as `Durable.left_behind`, asked from outside: no engine is started, and a running one is not disturbed."""
    with outside(settings) as client:
        try:
            found = client.list_workflows(status=UNFINISHED, load_input=False, load_output=False) if client else []
        except (OperationalError, ProgrammingError):  # no engine has ever run here
            return []
    return [workflow.workflow_id for workflow in found if workflow.app_version not in (None, version(APPLICATION))]


def enqueue(settings: Settings, queue: str, workflow: str, workflow_id: str, *arguments: Any) -> None:
    """Leave work for the processes that listen to a queue, from one that runs no engine. `workflow` is a function's name; an id that is known
    already changes nothing. Raises StoreError where no engine has ever run."""
    nobody = StoreError("No worker has ever run on this database.", code="store.no_worker", fix="Start one: beton worker")
    with outside(settings) as client:
        if client is None:
            raise nobody
        try:
            enqueue_with(client, queue, workflow, workflow_id, *arguments)
        except (OperationalError, ProgrammingError) as error:
            raise nobody from error


def enqueue_with(client: DBOSClient, queue: str, workflow: str, workflow_id: str, *arguments: Any) -> None:
    """The same, by a client that stays open."""
    options: EnqueueOptions = {
        "queue_name": queue,
        "workflow_name": workflow,
        "workflow_id": workflow_id,
        "app_version": version(APPLICATION),
        "application_name": APPLICATION,
    }
    client.enqueue(options, *arguments)


@contextmanager
def outside(settings: Settings) -> Generator[DBOSClient | None]:
    """A client of the engine's database; `None` where its file does not exist yet."""
    url, made = database_url(settings.effective_database_url), None
    if url.get_backend_name() == "sqlite":
        if not jobs_file(url).exists():
            yield None
            return
        made = _sqlite_engine(jobs_file(url))
    address = None if made else url.render_as_string(hide_password=False)
    client = DBOSClient(system_database_engine=made, system_database_url=address, serializer=DBOSPortableJSONSerializer(), lazy=True)
    try:
        yield client
    finally:
        client.destroy()
        if made is not None:
            made.dispose()


def stop_durable(durable: Durable, *, grace: timedelta = GRACE) -> None:
    """Stop taking work, wait at most `grace` for what is under way, and give up the executor id. Unfinished workflows resume later."""
    durable._hold.stop_watching()
    DBOS.destroy(workflow_completion_timeout_sec=int(grace.total_seconds()))
    durable._hold.release()


@contextmanager
def running(
    settings: Settings,
    executor_id: str | None = None,
    *,
    every: timedelta = LOOK_EVERY,
    on_takeover: Takeover | None = None,
    grace: timedelta = GRACE,
) -> Generator[Durable]:
    """The job engine for the body of a `with`."""
    durable = start_durable(settings, executor_id, every=every, on_takeover=on_takeover)
    try:
        yield durable
    finally:
        stop_durable(durable, grace=grace)


def jobs_file(url: URL) -> Path:
    """Where the job engine keeps its state on SQLite: beside our own file."""
    path = Path(url.database or "beton.sqlite")
    return path.with_name(f"{path.stem}-jobs.sqlite")


def _launch(config: DBOSConfig, hold: "_FileLock | _ExecutorLock") -> None:
    launched = False
    try:
        DBOS(config=config)
        DBOS.launch()
        launched = True
    finally:
        if not launched:
            DBOS.destroy()
            hold.release()


def _sqlite_engine(path: Path) -> sa.Engine:
    """NORMAL, not FULL: a power cut may cost the last checkpoints, and then costs the repetition of their steps."""
    engine = sa.create_engine(f"sqlite:///{path}")

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, record: Any) -> None:  # noqa: ARG001 - the signature of the event
        connection.isolation_level = "IMMEDIATE"  # as the engine's own SQLite connections have it
        for pragma in ("journal_mode = WAL", "synchronous = NORMAL", "busy_timeout = 30000", "foreign_keys = ON"):
            connection.execute(f"PRAGMA {pragma}")

    return engine


class _FileLock:
    """Keeps a second process from the job engine's SQLite file. The system drops it with the process."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._file: IO[str] = path.with_name(f"{path.name}-lock").open("w")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.close()
            raise StoreError(
                "Another Beton process runs on this SQLite database.",
                code="store.in_use",
                fix="Stop it, or set BETON_DATABASE_URL to a PostgreSQL database, which takes several processes.",
            ) from None
        self.engine = _sqlite_engine(path)

    def stop_watching(self) -> None:
        """There is nobody else to watch."""

    def release(self) -> None:
        self.engine.dispose()
        self._file.close()


class _ExecutorLock:
    """This process's sign of life, and the watch over those of the others."""

    def __init__(self, url: URL, executor_id: str) -> None:
        self.executor_id = executor_id
        self._dsn = url.set(drivername="postgresql").render_as_string(hide_password=False)
        self._stop = threading.Event()
        self._watch: threading.Thread | None = None
        self._session = self._connect()

    def watch(self, every: timedelta, on_takeover: Takeover | None) -> None:
        """Look for dead executors from now on, in a thread."""
        self._watch = threading.Thread(target=self._keep_watch, args=(every, on_takeover), name="beton-reaper", daemon=True)
        self._watch.start()

    def stop_watching(self) -> None:
        self._stop.set()
        if self._watch is not None:
            self._watch.join()

    def release(self) -> None:
        self._session.close()

    def _connect(self) -> psycopg.Connection[tuple[Any, ...]]:
        session = psycopg.connect(self._dsn, autocommit=True, keepalives_idle=5, keepalives_interval=2, keepalives_count=3)
        if not _try_lock(session, self.executor_id):
            session.close()
            raise StoreError(f"The executor id {self.executor_id} is in use.", code="store.in_use", fix="Give every process its own id.")
        return session

    def _keep_watch(self, every: timedelta, on_takeover: Takeover | None) -> None:
        while not self._stop.wait(every.total_seconds()):
            try:
                if self._session.closed:
                    self._session = self._connect()
                self._look(on_takeover)
            except (psycopg.OperationalError, OperationalError, StoreError) as error:
                # Without its session this process counts as dead: others may take over, and it tries to come back.
                _LOG.warning("executor lock: %s", error)
                self._session.close()

    def _look(self, on_takeover: Takeover | None) -> None:
        pending = DBOS.list_workflows(status="PENDING", load_input=False, load_output=False)
        for executor_id in sorted({workflow.executor_id for workflow in pending if workflow.executor_id} - {self.executor_id}):
            if not _try_lock(self._session, executor_id):
                continue
            try:
                # Private, but atomic and faithful (queue, deadline, attempts); the public way changes all three. Hence dbos < 3.5.
                taken = [handle.get_workflow_id() for handle in DBOS._recover_pending_workflows([executor_id])]
            finally:
                self._session.execute(f"SELECT pg_advisory_unlock({_KEY})", (executor_id,))
            if taken:
                _LOG.warning("took over %d workflows of %s", len(taken), executor_id)
                if on_takeover is not None:
                    on_takeover(executor_id, taken)


def _try_lock(session: psycopg.Connection[tuple[Any, ...]], executor_id: str) -> bool:
    row = session.execute(f"SELECT pg_try_advisory_lock({_KEY})", (executor_id,)).fetchone()
    return row is not None and bool(row[0])
