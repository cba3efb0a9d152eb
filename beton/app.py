"""The composition root: settings, store, clock and jobs, put together once and handed down. Nothing else in Beton asks what time it is."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncGenerator, Callable, Collection
from contextlib import ExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta

import uvicorn
from anyio import to_thread
from litestar import Litestar
from litestar.datastructures import State

from beton.errors import SettingsError
from beton.settings import Settings, with_local_key
from beton.store.passwords import Passwords
from beton.store.store import open_store
from beton.web import probes
from beton.web.access import signing_in
from beton.web.access.doorkeeper import Door, Doorkeeper
from beton.web.access.forgery import no_forgery
from beton.web.access.hosts import is_loopback
from beton.web.access.policy import check_policies
from beton.web.access.repeats import Repeats
from beton.web.api import api_router
from beton.web.injected import Hands, Jobs, TryRoute, provided
from beton.web.openapi import openapi
from beton.web.pages import pages_router
from beton.web.problems import HANDLERS, add_headers, log_failure
from beton.work.delivering import try_route
from beton.work.workplace import Workplace

LARGEST_BODY = 1_000_000
"""Bytes of a request's body."""

GRACE_SECONDS = 5
"""How long requests under way may take after the server was told to stop; the jobs have as long again."""


def utc_now() -> datetime:
    """What time it is."""
    return datetime.now(UTC)


def try_now(place: Workplace, name_or_id: str) -> int:
    """Send a test message along a route and wait, from a thread of a handler."""
    return asyncio.run(try_route(place, name_or_id))


def create_app(
    place: Workplace,
    *,
    jobs: Jobs,
    try_route: TryRoute = try_now,
    host_names: Collection[str] = (),
    passwords: Passwords | None = None,
    on_stop: Callable[[], None] | None = None,
) -> Litestar:
    """The application over an open workplace.

    `jobs` do the long work. `host_names` are names, besides those of loopback and of the settings, by which the server may be called. `on_stop` is
    called when the last request has been answered, and may block. Raises where a handler does not say who may use it.
    """
    door = Door.of(place.settings, frozenset(host_names))

    @asynccontextmanager
    async def lifespan(app: Litestar) -> AsyncGenerator[None]:
        del app
        yield
        if on_stop is not None:
            await to_thread.run_sync(on_stop)

    signing = signing_in.router(place.store, door, passwords or Passwords(), timedelta(days=place.settings.session_days))
    app = Litestar(
        route_handlers=[api_router(), *probes.HANDLERS, openapi, signing, pages_router()],
        dependencies=provided(place, Hands(jobs, try_route)),
        middleware=[Doorkeeper(place.store, door), Repeats(place.store)],
        guards=[no_forgery],
        exception_handlers=HANDLERS,
        after_exception=[log_failure],
        before_send=[add_headers],
        request_max_body_size=LARGEST_BODY,
        lifespan=[lifespan],
        state=State({"base": place.settings.base, "oidc_name": place.settings.oidc_name if place.settings.oidc_issuer else ""}),
        openapi_config=None,
        logging_config=None,
    )
    check_policies(app)
    return app


def serve(settings: Settings, *, clock: Callable[[], datetime] = utc_now, tell: Callable[[str], None] = lambda _: None) -> None:
    """Answer requests and do the jobs until told to stop; `tell` gets the address as soon as it can be called.

    Raises before it listens when something of that cannot be had. What is opened here is closed in the application's lifespan: uvicorn passes
    the signal that stopped it on to this process afterwards, which ends it.
    """
    from beton.work.schedules import start_jobs, stop_jobs

    settings = with_local_key(settings)
    with ExitStack() as opened:
        listening = listen(settings.host, settings.port)
        opened.callback(listening.close)
        store = open_store(settings, clock)
        opened.callback(store.close)
        place = Workplace(settings, store, clock)
        jobs = start_jobs(place)
        opened.callback(stop_jobs, jobs)
        run = uvicorn.Config(
            create_app(place, jobs=jobs, on_stop=opened.close),
            lifespan="on",
            timeout_graceful_shutdown=GRACE_SECONDS,
            server_header=False,
            proxy_headers=False,
            log_level="warning",
        )
        tell(f"http://{settings.host}:{settings.port}")
        uvicorn.Server(run).run(sockets=[listening])


def listen(host: str, port: int) -> socket.socket:
    """A socket on a loopback address. `SettingsError` for one that others could reach (without accounts, whoever has a key may do everything)
    or that is taken."""
    if host != "localhost" and not is_loopback(host):
        raise SettingsError(
            f"Beton does not listen on {host or 'every address'} yet: there are no accounts.",
            code="settings.host_not_loopback",
            fix="Leave BETON_HOST at 127.0.0.1, and reach the server through a tunnel, such as ssh -L.",
        )
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=2048)
    except OSError as error:
        why = error.strerror or str(error)
        raise SettingsError(f"Port {port} of {host} cannot be had: {why}.", code="settings.port_taken", fix="Set BETON_PORT to another.") from None
