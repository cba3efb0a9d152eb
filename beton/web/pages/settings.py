"""Settings: the bar, people and keys, the installation, and who changed what."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlsplit

from litestar import Response, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, FromQuery
from pydantic import ValidationError

from beton.errors import BadInput, BetonError, Conflict, Fault, Forbidden
from beton.roles import ROLES, Permission, Role
from beton.store import api_keys, audit, members, search_records, sessions, workspaces
from beton.web.access.policy import needs
from beton.web.api.bodies import BarBody
from beton.web.injected import TheCaller, ThePlace
from beton.web.pages.page import FormFields, Page, ThePage, many, text
from beton.work.choosing import Rejudged, choose_bar, chosen_of_bar
from beton.work.inviting import invite, make_key, put_out

AT_ONCE = 50
CHECKED_UNASKED = 5000
"""So long a chain of the audit log is checked whenever the page is looked at; a longer one when asked."""

BAR = (
    ("min_lift_low", "Lower limit of the lift, at least", "×", "0.05", "lift_low"),
    ("max_q", "q-value (of what a person wrote: p-value), at most", "", "0.005", "chance"),
    ("min_fires", "Judged fires, at least", "", "1", "few_fires"),
    ("min_true_positives", "Fires that hit, at least", "", "1", "few_hits"),
    ("min_recall", "Recall, at least", "0 to 1", "0.01", "recall"),
    ("min_precision", "Precision, at least", "0 to 1, empty: any", "0.01", "precision"),
)
"""Name, label, unit, step of the field, and where it is explained."""

LONGEST_TOLD = 160

MEANINGS = {
    Role.VIEWER: "reads everything but the audit log",
    Role.SALES: "also claims signals and says what became of them",
    Role.REVIEWER: "also decides, writes hypotheses and starts runs",
    Role.ADMIN: "also manages connections, routes, settings and people",
}


@get("/settings", sync_to_thread=True, opt=needs(Permission.READ), include_in_schema=False)
def the_bar(page: ThePage, place: ThePlace) -> Response[str]:
    """What a result must clear."""
    return _bar(page, place)


@post("/settings/bar", status_code=200, sync_to_thread=True, opt=needs(Permission.MANAGE_SETTINGS), include_in_schema=False)
def choose(page: ThePage, place: ThePlace, data: FormFields) -> Response[str]:
    """Another bar; an empty field is the installation's. Everything is judged anew at once."""
    written = {name: text(data, name) for name, *_ in BAR if text(data, name)}
    try:
        body = BarBody.model_validate({name: _number(value) for name, value in written.items()})
    except ValidationError as error:
        faults = [Fault(str(one["loc"][0]), one["msg"]) for one in error.errors()]
        return _bar(page, place, written=written, faults={one.field: one.message for one in faults}, status=422)
    parts = {} if text(data, "whose") == "installation" else body.model_dump(include=set(written))
    return _bar(page, place.of(place.store.workspace_id), rejudged=choose_bar(place, parts, actor=page.actor))


@get("/settings/people", sync_to_thread=True, opt=needs(Permission.READ), include_in_schema=False)
def people(page: ThePage, place: ThePlace) -> Response[str]:
    """Members, invitations, keys."""
    return _people(page, place)


@post("/settings/people", status_code=200, sync_to_thread=True, opt=needs(Permission.MANAGE_MEMBERS), include_in_schema=False)
def invite_somebody(page: ThePage, place: ThePlace, data: FormFields) -> Response[str]:
    """An invitation: its link is on the page that answers, and never again."""
    email = text(data, "email")
    try:
        made, link = invite(place, email, _role(data), actor=page.actor)
    except (BadInput, Conflict) as error:
        return _people(page, place, refused=error, email=email)
    return _people(page, place, invited=made, link=link)


@post("/settings/people/{member:str}/role", status_code=200, sync_to_thread=True, opt=needs(Permission.MANAGE_MEMBERS), include_in_schema=False)
def change_role(page: ThePage, place: ThePlace, member: FromPath[str], data: FormFields) -> Response[str]:
    """Another role; the last admin stays one."""
    with place.store.transaction() as tx:
        found = members.get(tx, member)
        members.change_role(tx, found.id, _role(data), actor=page.actor)
    return page.go("/settings/people")


@post("/settings/people/{member:str}/remove", status_code=200, sync_to_thread=True, opt=needs(Permission.MANAGE_MEMBERS), include_in_schema=False)
def remove(page: ThePage, place: ThePlace, member: FromPath[str], data: FormFields) -> Response[str]:
    """Put a member out."""
    with place.store.reading() as tx:
        found = members.get(tx, member)
    _be_sure(data)
    put_out(place, found.id, actor=page.actor)
    return page.go("/settings/people")


@post("/settings/keys", status_code=200, sync_to_thread=True, opt=needs(Permission.MANAGE_MEMBERS), include_in_schema=False)
def add_key(page: ThePage, place: ThePlace, caller: TheCaller, data: FormFields) -> Response[str]:
    """A key for a program: its text is on the page that answers, and never again."""
    scopes = [Permission(one) for one in many(data, "scopes") if one in set(Permission)]
    try:
        key, secret = make_key(place, text(data, "name"), scopes, caller=caller)
    except (BadInput, Forbidden) as error:
        return _people(page, place, refused=error)
    return _people(page, place, key=key, secret=secret)


@post("/settings/keys/{key_id:str}/revoke", status_code=200, sync_to_thread=True, opt=needs(Permission.MANAGE_MEMBERS), include_in_schema=False)
def revoke(page: ThePage, place: ThePlace, key_id: FromPath[str], data: FormFields) -> Response[str]:
    """Let a key in no more."""
    del data
    with place.store.transaction() as tx:
        api_keys.revoke(tx, key_id, actor=page.actor)
    return page.go("/settings/people")


@get("/settings/installation", sync_to_thread=True, opt=needs(Permission.READ), include_in_schema=False)
def installation(page: ThePage, place: ThePlace) -> Response[str]:
    """How this installation is set up: the model, what is kept how long, appearance."""
    with place.store.reading() as tx:
        spent = search_records.spent_on(tx, tx.now)
        workspace = workspaces.get(tx)
    settings = place.settings
    return page.render(
        "settings/installation.html",
        title="Installation",
        at="settings",
        tab="installation",
        settings=settings,
        model=settings.model,
        model_host=urlsplit(settings.model.url).hostname or "",
        spent=spent,
        workspace=workspace,
    )


@get("/settings/audit", sync_to_thread=True, opt=needs(Permission.READ_AUDIT), include_in_schema=False)
def audit_log(
    page: ThePage, place: ThePlace, object_id: FromQuery[str] = "", after: FromQuery[str] = "", check: FromQuery[str] = ""
) -> Response[str]:
    """Who did what to what, the newest first, and whether the chain holds."""
    before = int(after) if after.isascii() and after.isdigit() and len(after) < 10 else None
    with place.store.reading() as tx:
        found = audit.entries(tx, object_id=object_id or None, before=before, limit=AT_ONCE + 1)
        newest = audit.entries(tx, limit=1)
        checked = audit.check(tx) if check or (newest and newest[0].number <= CHECKED_UNASKED) else None
    shown = found[:AT_ONCE]
    return page.render(
        "settings/audit.html",
        title="Audit log",
        at="settings",
        tab="audit",
        entries=shown,
        object_id=object_id,
        after=after,
        next_after=shown[-1].number if len(found) > AT_ONCE else None,
        checked=checked,
        newest=newest[0] if newest else None,
        changes=changes,
    )


def changes(before: dict[str, Any] | None, after: dict[str, Any] | None) -> list[tuple[str, str, str]]:
    """Name, former and present value of what differs, as texts; nothing where there was or is none."""
    old, new = before or {}, after or {}
    return [(name, _told(old.get(name)), _told(new.get(name))) for name in {**old, **new} if old.get(name) != new.get(name)]


def _told(value: Any) -> str:
    told = "" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return told if len(told) <= LONGEST_TOLD else told[: LONGEST_TOLD - 1] + "…"


def _bar(
    page: Page, place: ThePlace, *, written: dict[str, str] | None = None, faults: dict[str, str] | None = None, rejudged: Rejudged | None = None,
    status: int = 200,
) -> Response[str]:  # fmt: skip
    chosen = chosen_of_bar(place)
    return page.render(
        "settings/bar.html",
        status=status,
        title="Settings",
        at="settings",
        tab="bar",
        fields=BAR,
        bar=place.bar,
        chosen=chosen,
        installation=place.settings.bar,
        written=written or {name: str(value) for name, value in chosen.items() if value is not None},
        faults=faults or {},
        rejudged=rejudged,
    )


def _people(page: Page, place: ThePlace, *, refused: BetonError | None = None, **more: Any) -> Response[str]:
    manages = page.may(Permission.MANAGE_MEMBERS)
    with place.store.reading() as tx:
        every, pending = members.every(tx), sessions.pending(tx) if manages else []
        keys = api_keys.every(tx) if manages else []
    shown: dict[str, Any] = {"invited": None, "link": "", "key": None, "secret": "", "email": ""} | more
    return page.render(
        "settings/people.html",
        status=200 if refused is None else refused.status,
        title="People and keys",
        at="settings",
        tab="people",
        members=every,
        pending=[one for one in pending if one.purpose == "invite"],
        keys=keys,
        roles=MEANINGS,
        permissions=sorted(page.caller.permissions if page.caller else ()),
        role_permissions=ROLES,
        refused=refused,
        **shown,
    )


def _role(form: dict[str, Any]) -> Role:
    told = text(form, "role")
    if told not in set(Role):
        raise BadInput("Choose a role.", [Fault("role", f"{told!r} is none", None, tuple(Role))])
    return Role(told)


def _number(told: str) -> float | str:
    """As a number, where it is one, also with a comma."""
    plain = told.replace(",", ".")
    try:
        return int(plain) if plain.isdigit() else float(plain)
    except ValueError:
        return told


def _be_sure(form: dict[str, Any]) -> None:
    if text(form, "sure") != "yes":
        raise BadInput("Say that this is meant.", [Fault("sure", "is not yes")], fix="Go back and use the button.")


HANDLERS: list[HTTPRouteHandler] = [
    the_bar, choose, people, invite_somebody, change_role, remove, add_key, revoke, installation, audit_log,
]  # fmt: skip
