"""The composition root: settings, store, clock and jobs, put together once and handed down. Nothing else in Beton asks what time it is."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import socket
import threading
from collections.abc import AsyncGenerator, Callable, Collection
from contextlib import ExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from types import FrameType
from typing import Any

import uvicorn
from anyio import to_thread
from litestar import Litestar
from litestar.datastructures import State
from litestar.types import ASGIApp, Receive, Send

from beton.errors import SettingsError
from beton.logs import set_up_logs
from beton.settings import LOCAL_KEY_FILE, MAKE_A_KEY, Settings, with_local_key
from beton.store import members
from beton.store.passwords import Passwords
from beton.store.store import Store, open_store
from beton.telemetry import start_telemetry
from beton.web import probes
from beton.web.access import oidc, signing_in
from beton.web.access.doorkeeper import Door, Doorkeeper
from beton.web.access.forgery import no_forgery
from beton.web.access.hosts import is_loopback
from beton.web.access.policy import check_policies
from beton.web.access.repeats import Repeats
from beton.web.access.signing_in import Entrance
from beton.web.api import api_router
from beton.web.inbound.callbacks import Callbacks
from beton.web.inbound.coming_back import callbacks_router
from beton.web.inbound.endpoint import Inbound
from beton.web.injected import Hands, Jobs, Reach, TryRoute, provided
from beton.web.observed import Observed
from beton.web.openapi import openapi
from beton.web.pages import pages_router
from beton.web.problems import HANDLERS, add_headers, log_failure
from beton.web.turns import InTurn
from beton.work.intake import open_intake
from beton.work.this_process import wind_down
from beton.work.ways_out import try_route
from beton.work.workplace import Workplace

LARGEST_BODY = 1_000_000
"""Bytes of a request's body."""

GRACE_SECONDS = 4
"""How long requests under way may take after the server was told to stop; the jobs have three more."""

STOPPED_AFTER = 8.0
"""Seconds from being told to stop to the end of the process, whatever is still under way then: it resumes, as after a crash."""


def utc_now() -> datetime:
    """What time it is."""
    return datetime.now(UTC)


def try_now(place: Workplace, name_or_id: str) -> int | None:
    """Send a test message along a route and wait, from a thread of a handler."""
    return asyncio.run(try_route(place, name_or_id))


def create_app(
    place: Workplace,
    *,
    jobs: Jobs,
    try_route: TryRoute = try_now,
    reach: Reach | None = None,
    host_names: Collection[str] = (),
    passwords: Passwords | None = None,
    on_stop: Callable[[], None] | None = None,
) -> Litestar:
    """The application over an open workplace.

    `jobs` do the long work, `reach` asks PostHog while somebody waits. `host_names` are names, besides those of loopback and of the settings, by
    which the server may be called. `on_stop` is called when the last request has been answered, and may block. Raises where a handler does not say
    who may use it.
    """
    door = Door.of(place.settings, frozenset(host_names))

    @asynccontextmanager
    async def lifespan(app: Litestar) -> AsyncGenerator[None]:
        del app
        asyncio.get_running_loop().set_default_executor(InTurn())
        yield
        if on_stop is not None:
            await to_thread.run_sync(on_stop)

    entrance = Entrance(place.store, door, passwords or Passwords(), timedelta(days=place.settings.session_days))
    signing = [signing_in.router(entrance), *([oidc.router(entrance)] if place.settings.oidc_issuer else [])]
    app = Litestar(
        route_handlers=[api_router(), *probes.HANDLERS, openapi, *signing, callbacks_router(Callbacks(place, door)), pages_router()],
        dependencies=provided(place, Hands(jobs, try_route, reach or Reach())),
        middleware=[Doorkeeper(place.store, door), Repeats(place.store)],
        guards=[no_forgery],
        exception_handlers=HANDLERS,
        after_exception=[log_failure],
        before_send=[add_headers],
        request_max_body_size=LARGEST_BODY,
        lifespan=[lifespan],
        state=State(
            {
                "base": place.settings.base,
                "oidc_name": place.settings.oidc_name if place.settings.oidc_issuer else "",
                "oidc": oidc.Provider.of(place.settings),
            }
        ),
        openapi_config=None,
        logging_config=None,
    )
    check_policies(app)
    return app


def serve(
    settings: Settings, *, clock: Callable[[], datetime] = utc_now, tell: Callable[[str], None] = lambda _: None, reach: Reach | None = None
) -> None:
    """Answer requests and do the jobs until told to stop; `tell` gets the address as soon as it can be called, `reach` asks PostHog while somebody
    waits.

    Raises before it listens when something of that cannot be had. What is opened here is closed in the application's lifespan: uvicorn passes
    the signal that stopped it on to this process afterwards, which ends it.
    """
    from beton.work.schedules import start_jobs, stop_jobs

    own_key = settings.secret_key is not None
    settings = with_a_key(settings)
    set_up_logs(settings.log_format)
    with ExitStack() as opened:
        opened.callback(start_telemetry(settings.telemetry_url))
        listening = listen(settings.host, settings.port)
        opened.callback(listening.close)
        store = open_store(settings, clock)
        opened.callback(store.close)
        check_reach(settings, store, own_key=own_key)
        place = Workplace(settings, store, clock)
        jobs = start_jobs(place)
        opened.callback(stop_jobs, jobs)
        intake = open_intake(settings, store)
        intake.start()
        opened.callback(intake.stop)
        app = create_app(place, jobs=jobs, reach=reach, on_stop=opened.close)
        run = uvicorn.Config(
            Prefixed(Observed(Inbound(app, intake, Door.of(settings), clock)), settings.base),
            lifespan="on",
            timeout_graceful_shutdown=GRACE_SECONDS,
            server_header=False,
            proxy_headers=False,
            log_config=None,
            access_log=False,
        )
        tell(settings.address)
        _keep_what_stays()
        _Stopping(run).run(sockets=[listening])


def _keep_what_stays() -> None:
    """Modules, routes and templates stay as long as the process. Looked through for garbage again and again they would hold up every request for a
    tenth of a second; and a page makes thousands of short-lived values that need no looking through at all."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 50)


def work(place: Workplace, *, tell: Callable[[str, str], None] = lambda *_: None) -> None:
    """Do the jobs alone until told to stop, by SIGTERM or an interrupt; `tell` gets the executor's id and the release once work is taken."""
    from beton.work.schedules import start_jobs, stop_jobs

    stopped = threading.Event()

    def stop(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - the signature of a handler
        end_in_time()
        stopped.set()

    signal.signal(signal.SIGTERM, stop)
    set_up_logs(place.settings.log_format)
    end_telemetry = start_telemetry(place.settings.telemetry_url)
    jobs = start_jobs(place)
    try:
        tell(jobs.durable.executor_id, jobs.durable.application_version)
        stopped.wait()
    finally:
        stop_jobs(jobs)
        end_telemetry()


def end_in_time() -> None:
    """No new work from now on, and the end of this process in ten seconds at most. A job that hangs would hold it for ever; ended in the middle, it
    resumes at the next start or is taken over, and what it had in hand is sent with the same id when its lease is over."""
    wind_down()
    last = threading.Timer(STOPPED_AFTER, os._exit, (0,))
    last.daemon = True
    last.start()


class _Stopping(uvicorn.Server):
    """A server that ends in time."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """The first word to stop starts the clock."""
        if not self.should_exit:
            end_in_time()
        super().handle_exit(sig, frame)


def check_reach(settings: Settings, store: Store, *, own_key: bool) -> None:
    """`SettingsError` where others could reach this server and it is not ready for them.

    Beyond loopback it asks for a name to answer to (against DNS rebinding), for somebody who can sign in, and for a secret key that does not lie
    beside the database. `own_key` says that the environment gave one.
    """
    if settings.host == "localhost" or is_loopback(settings.host):
        return
    if not settings.host_names:
        raise SettingsError(
            f"Others can reach {settings.host or 'every address'}, but by no name that this server answers to.",
            code="settings.no_host_name",
            fix="Set BETON_PUBLIC_URL to the address that people open, such as https://beton.example.com.",
        )
    if not own_key:
        raise SettingsError("BETON_SECRET_KEY is not set.", code="settings.secret_key_missing", fix=MAKE_A_KEY)
    if not members.any_admin(store):
        raise SettingsError(
            f"Others can reach {settings.host or 'every address'}, and nobody can sign in yet.",
            code="settings.no_accounts",
            fix="Run: beton members add you@example.com --role admin; then open the printed link on this machine, or serve on 127.0.0.1 first.",
        )


def with_a_key(settings: Settings) -> Settings:
    """The settings with the key of a local installation where the environment gives none. A server makes no key itself: what sets Beton up does, on
    this machine, and everywhere else the key is given."""
    if settings.secret_key is None and not (settings.data_dir / LOCAL_KEY_FILE).is_file():
        raise SettingsError("There is no secret key.", code="settings.secret_key_missing", fix=f"Set BETON_SECRET_KEY. {MAKE_A_KEY}.")
    return with_local_key(settings)


def listen(host: str, port: int) -> socket.socket:
    """A socket on an address; `SettingsError` for one that is taken or not this machine's."""
    try:
        made = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=2048)
    except OSError as error:
        why = error.strerror or str(error)
        raise SettingsError(f"Port {port} of {host} cannot be had: {why}.", code="settings.port_taken", fix="Set BETON_PORT to another.") from None
    # Connections inherit it. Else the end of an answer waits 40 ms for the reader to have acknowledged its beginning.
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return made


class Prefixed:
    """The application under the path of a reverse proxy, whether the proxy takes that path away or not."""

    def __init__(self, app: ASGIApp, base: str) -> None:
        self._app, self._base = app, base

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        if self._base and (path == self._base or path.startswith(f"{self._base}/")):
            inner = path[len(self._base) :] or "/"
            scope = scope | {"path": inner, "raw_path": inner.encode()}
        await self._app(scope, receive, send)
