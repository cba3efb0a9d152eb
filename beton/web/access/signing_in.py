"""Signing in and out, and the pages behind single-use links: invitations, new passwords, sign-ins."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Annotated, Any

from litestar import Request, Response, Router, get, post
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath, QueryParameter, SkipValidation, URLEncodedBody

from beton.errors import BadInput, BetonError, Conflict, Forbidden, TooMany, Unauthorized
from beton.roles import Permission, Role
from beton.store import members, sessions
from beton.store.passwords import Passwords, check_new
from beton.store.records import AccessLink, Member
from beton.store.store import Store, Transaction
from beton.web.access.cookies import session_cookie, session_token
from beton.web.access.doorkeeper import Door
from beton.web.access.forms import form, inside, to
from beton.web.access.limits import Limiter
from beton.web.access.policy import OPEN, needs
from beton.web.injected import TheCaller, ThePlace

Ask = Request[Any, Any, Any]
Fields = URLEncodedBody[dict[str, Any]]
Next = Annotated[str, QueryParameter(name="next")]
WRONG = "This e-mail address and password do not belong together."


@dataclass(frozen=True)
class Entrance:
    """What signing in takes: rules, passwords, and how often one may try."""

    store: Store
    door: Door
    passwords: Passwords
    lasts: timedelta
    by_address: Limiter = field(default_factory=lambda: Limiter(30, 300))
    by_account: Limiter = field(default_factory=lambda: Limiter(10, 900))

    def count(self, request: Ask, account: str) -> None:
        """`TooMany` where an address, or anybody at all for one account, has tried too often without success."""
        at = self.store.clock().timestamp()
        address = self.door.proxies.client_of(request.scope, _headers(request))
        for limiter, key in ((self.by_address, address), (self.by_account, account)):
            standing = limiter.take(key, at)
            if not standing.allowed:
                raise TooMany("There were too many attempts to sign in.", retry_after=standing.resets, code="too_many.sign_ins")

    def let_in(self, request: Ask, workspace_id: str, member_id: str, how: str) -> str:
        """A new session in place of the one that was; its token."""
        with self.store.of(workspace_id).transaction() as tx:
            return self.begin(request, tx, members.get(tx, member_id), how)

    def begin(self, request: Ask, tx: Transaction, member: Member, how: str) -> str:
        """The same within a transaction."""
        if former := session_token(request.scope):
            sessions.end(tx, former)
        return sessions.begin(tx, member.id, lasts=self.lasts, how=how, actor=f"{member.name} ({member.id})")

    def secure(self, request: Ask) -> bool:
        """Whether the browser speaks https."""
        return self.door.proxies.secure(request.scope, _headers(request))

    def with_cookie(self, request: Ask, response: Response[Any], token: str) -> Response[Any]:
        """The answer with the session's cookie; with an empty token, the cookie removed."""
        response.cookies.append(session_cookie(token, secure=self.secure(request), base=self.door.base, lasts=self.lasts))
        return response


TheEntrance = NamedDependency[SkipValidation[Entrance]]


@get("/sign-in", opt=OPEN, sync_to_thread=True, include_in_schema=False)
def sign_in_page(request: Ask, next_page: Next = "/") -> Response[Any]:
    """The form; who is signed in goes on."""
    return to(request, inside(next_page)) if request.user else _sign_in_form(request, next_page)


@post("/sign-in", opt=OPEN, sync_to_thread=True, include_in_schema=False, status_code=200)
def sign_in(request: Ask, entrance: TheEntrance, data: Fields) -> Response[Any]:
    """Check address and password. The answer is the same whichever of them is wrong, and takes as long."""
    email, password, next_page = _text(data, "email").lower(), _text(data, "password"), _text(data, "next") or "/"
    try:
        entrance.count(request, email)
    except TooMany as error:
        answer = _sign_in_form(request, next_page, email, f"{error.message} Try again in {error.retry_after:.0f} seconds.", error.status)
        answer.headers["Retry-After"] = f"{error.retry_after:.0f}"
        return answer
    found = members.with_password(entrance.store, email, password, entrance.passwords)
    if found is None:
        return _sign_in_form(request, next_page, email, WRONG, Unauthorized.status)
    entrance.by_account.forget(email)
    token = entrance.let_in(request, *found, "password")
    return entrance.with_cookie(request, to(request, inside(next_page)), token)


@post("/sign-out", opt=needs(Permission.READ), sync_to_thread=True, include_in_schema=False, status_code=200)
def sign_out(request: Ask, place: ThePlace, entrance: TheEntrance) -> Response[Any]:
    """End this session."""
    with place.store.transaction() as tx:
        sessions.end(tx, session_token(request.scope))
    return entrance.with_cookie(request, to(request, "/sign-in"), "")


@post("/sign-out/everywhere", opt=needs(Permission.READ), sync_to_thread=True, include_in_schema=False, status_code=200)
def sign_out_everywhere(request: Ask, place: ThePlace, caller: TheCaller, entrance: TheEntrance) -> Response[Any]:
    """End all sessions of this member."""
    if caller.via == "key":
        raise Forbidden("A key has no sessions.")
    with place.store.transaction() as tx:
        sessions.end_all(tx, caller.id, actor=caller.actor)
    return entrance.with_cookie(request, to(request, "/sign-in"), "")


@get("/link/{token:str}", opt=OPEN, sync_to_thread=True, include_in_schema=False)
def link_page(request: Ask, entrance: TheEntrance, token: FromPath[str]) -> Response[Any]:
    """What a link asks for; a sign-in link signs in at once, since only the terminal has shown it."""
    workspace_id, link = sessions.look_at_link(entrance.store, token)
    if link.purpose != "sign_in":
        return _link_form(request, link, token)
    with entrance.store.of(workspace_id).transaction() as tx:
        sessions.use_link(tx, token)
        session = entrance.begin(request, tx, members.get(tx, link.email), "link")
    return entrance.with_cookie(request, to(request, "/"), session)


@post("/link/{token:str}", opt=OPEN, sync_to_thread=True, include_in_schema=False, status_code=200)
def use_link(request: Ask, entrance: TheEntrance, token: FromPath[str], data: Fields) -> Response[Any]:
    """Take up an invitation, or set a new password; then the member is signed in."""
    workspace_id, link = sessions.look_at_link(entrance.store, token)
    entrance.count(request, f"link {token[:8]}")
    try:
        email = members.address(link.email or _text(data, "email"))
        fresh = _hash(entrance, link, email, _text(data, "password"))
        with entrance.store.of(workspace_id).transaction() as tx:
            sessions.use_link(tx, token)
            by = f"{link.purpose} link of {email}"
            if link.purpose == "invite":
                members.add(tx, email, link.role or Role.VIEWER, actor=by, name=_text(data, "name")[:100])
            member = members.get(tx, email)
            if fresh is not None:
                members.set_password(tx, member.id, fresh, actor=by)
            session = entrance.begin(request, tx, member, link.purpose)
    except (BadInput, Conflict, Unauthorized) as error:
        return _link_form(request, link, token, error, _text(data, "email"), _text(data, "name"))
    return entrance.with_cookie(request, to(request, "/"), session)


def _hash(entrance: Entrance, link: AccessLink, email: str, password: str) -> str | None:
    """What is to be kept of a new password. None for who is invited and has an account already: they show its password, since an invitation into
    one workspace must not open another. Hashing takes long, so no transaction is open meanwhile."""
    if link.purpose == "invite" and members.has_password(entrance.store, email):
        if members.with_password(entrance.store, email, password, entrance.passwords) is None:
            raise Unauthorized("There is an account with this address, and this is not its password.", fix="Give the password of that account.")
        return None
    return entrance.passwords.hash(check_new(password, email=email))


def _sign_in_form(request: Ask, next_page: str, email: str = "", problem: str = "", status: int = 200) -> Response[Any]:
    oidc = request.app.state.oidc_name
    return form(request, "sign_in.html", status=status, next=inside(next_page), email=email, problem=problem, oidc=oidc)


def _link_form(request: Ask, link: AccessLink, token: str, error: BetonError | None = None, email: str = "", name: str = "") -> Response[Any]:
    problem = "" if error is None else f"{error.message} {error.fix}"
    status = 200 if error is None else error.status
    return form(request, "link.html", status=status, link=link, token=token, problem=problem, email=link.email or email, name=name)


def _text(data: dict[str, Any], name: str) -> str:
    """One field of a form; of several with a name, none."""
    value = data.get(name, "")
    if not isinstance(value, str) or "\x00" in value or len(value) > 2000:
        raise BadInput(f"The field {name} cannot be read.")
    return value if name == "password" else value.strip()


def _headers(request: Ask) -> dict[bytes, str]:
    return {name: value.decode("latin-1") for name, value in request.scope["headers"]}


def router(entrance: Entrance) -> Router:
    """All of it."""
    handlers: list[Any] = [sign_in_page, sign_in, sign_out, sign_out_everywhere, link_page, use_link]
    return Router(path="/", route_handlers=handlers, dependencies={"entrance": Provide(lambda: entrance, sync_to_thread=False)})
