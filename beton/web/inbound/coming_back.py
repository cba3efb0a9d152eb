"""The addresses that messages lead back to."""

from __future__ import annotations

from litestar import Router
from litestar.di import Provide

from beton.web.inbound import slack, unsubscribing
from beton.web.inbound.callbacks import Callbacks


def callbacks_router(callbacks: Callbacks) -> Router:
    """All of them."""
    handlers = [slack.clicked, unsubscribing.ask_whether, unsubscribing.end]
    return Router(path="/", route_handlers=handlers, dependencies={"callbacks": Provide(lambda: callbacks, sync_to_thread=False)})
