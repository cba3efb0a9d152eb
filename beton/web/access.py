"""Who may come in.

Closed by default: a handler is open only if it is marked `public`. Everything else asks for an operator key. All wrong keys get the same answer,
whether they are missing, misspelt, unknown or revoked.

The `Host` header must name this machine. A page on the internet can point its own name at 127.0.0.1 and have a browser ask us (DNS rebinding);
the browser then still sends the page's name. `X-Forwarded-Host` is not looked at, because such a page can set it.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection

from anyio import to_thread
from litestar.enums import ScopeType
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, Receive, Scope, Send

from beton.errors import BadInput, Forbidden, Unauthorized
from beton.store.operator_keys import holder
from beton.store.records import OperatorKey
from beton.store.store import Store

PUBLIC = "public"
"""The key in a handler's `opt` that opens it to everyone."""

_SCHEME = "bearer "
_LONGEST_KEY = 200


class Doorkeeper(ASGIMiddleware):
    """Checks host and key before anything else looks at the request."""

    scopes = (ScopeType.HTTP, ScopeType.ASGI)

    def __init__(self, store: Store, host_names: Collection[str]) -> None:
        self._store = store
        self._names = {"localhost", *(name.lower().strip("[]") for name in host_names)}

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Let the request in, with its key as `auth`; or raise."""
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        self._check_host(headers.get(b"host", ""))
        scope["user"] = scope["auth"] = None
        if not scope["route_handler"].opt.get(PUBLIC):
            scope["auth"] = await to_thread.run_sync(self._holder, headers.get(b"authorization", ""))
        _check_text(scope)
        await next_app(scope, receive, send)

    def _check_host(self, host: str) -> None:
        name = _name_of(host)
        if name not in self._names and not is_loopback(name):
            raise Forbidden(
                "This server does not answer to the name it was called by.",
                code="forbidden.host_name",
                status=421,
                fix="Call it by localhost or 127.0.0.1.",
            )

    def _holder(self, authorization: str) -> OperatorKey:
        token = authorization[len(_SCHEME) :].strip() if authorization.lower().startswith(_SCHEME) else ""
        key = None
        if token and len(token) <= _LONGEST_KEY:
            with self._store.reading() as tx:
                key = holder(tx, token)
        if key is None:
            raise Unauthorized("This address needs an operator key.", fix="Send it as a bearer token in the Authorization header.")
        return key


def is_loopback(name: str) -> bool:
    """Whether this is an address of this machine itself, written as a number."""
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _name_of(host: str) -> str:
    """The host of a `Host` header without its port, in lower case."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.partition(":")[0].lower()


def _check_text(scope: Scope) -> None:
    """PostgreSQL cannot hold a NUL in a text, so nothing that is asked for by name can have one."""
    if "\x00" in scope["path"] or b"%00" in scope["query_string"]:
        raise BadInput("The address contains a NUL character.", code="input.malformed", status=400, fix="Leave it out.")
