"""Who may come in.

Closed by default: a handler is open only if it is marked `public`. Everything else asks for a caller, by a key in the `Authorization` header or by
the cookie of a session, who has the permission that the handler names. All wrong credentials get the same answer, whether they are missing,
misspelt, unknown, revoked or over.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta

from litestar.enums import ScopeType
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, Receive, Scope, Send

from beton.errors import BadInput, TooMany, Unauthorized
from beton.roles import ROLES, Caller
from beton.settings import Settings
from beton.store import api_keys, sessions
from beton.store.records import ApiKey, Member
from beton.store.store import Store
from beton.web.access.cookies import cookie_name, remember, token_in
from beton.web.access.hosts import Headers, Names, Proxies
from beton.web.access.limits import Limiter
from beton.web.access.policy import check_caller, is_public

_SCHEME = "bearer "
_LONGEST_KEY = 200
LIMIT_HEADERS = "beton_limit_headers"


@dataclass(frozen=True)
class Door:
    """What the doorkeeper goes by: the rules of this installation."""

    names: Names
    proxies: Proxies
    base: str
    idle: timedelta
    limiter: Limiter = field(repr=False)

    @classmethod
    def of(cls, settings: Settings, more_names: frozenset[str] = frozenset()) -> Door:
        """As the settings say."""
        names = Names({settings.host, *settings.host_names, *more_names})
        idle = timedelta(hours=settings.session_idle_hours)
        return cls(names, Proxies(settings.trusted_proxies), settings.base, idle, Limiter(settings.requests_per_minute, 60))


class Doorkeeper(ASGIMiddleware):
    """Checks host, credentials and permission before anything else looks at the request. Leaves the caller as `user`."""

    scopes = (ScopeType.HTTP, ScopeType.ASGI)

    def __init__(self, store: Store, door: Door) -> None:
        self._store = store
        self._door = door

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Let the request in, or raise."""
        headers: dict[bytes, str] = {name: value.decode("latin-1") for name, value in scope["headers"]}
        self._door.names.check(headers.get(b"host", ""))
        scope["auth"] = None
        scope["user"] = caller = await asyncio.to_thread(self._caller, scope, headers)
        opt = scope["route_handler"].opt
        if caller is None and not is_public(opt):
            raise Unauthorized("This address needs a session or a key.", fix="Sign in, or send a key as a bearer token in the Authorization header.")
        if caller is not None:
            self._count(scope, caller)
            check_caller(caller, opt)
        _check_text(scope)
        await next_app(scope, receive, send)

    def _caller(self, scope: Scope, headers: Headers) -> Caller | None:
        if b"authorization" in headers:
            return self._with_key(headers[b"authorization"])
        name = cookie_name(secure=self._door.proxies.secure(scope, headers), base=self._door.base)
        token = token_in(headers.get(b"cookie", ""), name)
        found = sessions.holder(self._store, token, idle=self._door.idle) if token else None
        if found is None:
            return None
        remember(scope, token)
        return of_member(*found)

    def _with_key(self, authorization: str) -> Caller | None:
        text = authorization[len(_SCHEME) :].strip() if authorization.lower().startswith(_SCHEME) else ""
        found = api_keys.holder(self._store, text) if text and len(text) <= _LONGEST_KEY else None
        if found is None:
            return None
        workspace_id, key = found
        api_keys.note_use(self._store.of(workspace_id), key)
        return of_key(workspace_id, key)

    def _count(self, scope: Scope, caller: Caller) -> None:
        standing = self._door.limiter.take(caller.id, self._store.clock().timestamp())
        scope["state"][LIMIT_HEADERS] = standing.headers | {"RateLimit-Policy": self._door.limiter.policy}
        if not standing.allowed:
            raise TooMany("You have asked too often within a minute.", retry_after=standing.resets)


def of_member(workspace_id: str, member: Member) -> Caller:
    """A person with a session."""
    return Caller(member.id, member.name, workspace_id, ROLES[member.role], member.role, "session", member.email)


def of_key(workspace_id: str, key: ApiKey) -> Caller:
    """A program with a key."""
    return Caller(key.id, key.name, workspace_id, frozenset(key.scopes), None, "key", None)


def _check_text(scope: Scope) -> None:
    """PostgreSQL cannot hold a NUL in a text, so nothing that is asked for by name can have one."""
    if "\x00" in scope["path"] or b"%00" in scope["query_string"]:
        raise BadInput("The address contains a NUL character.", code="input.malformed", status=400, fix="Leave it out.")
