"""Letting people and programs in, and putting them out, as pages and API do it."""

from __future__ import annotations

from collections.abc import Collection

from beton.errors import BadInput, Fault, Forbidden
from beton.roles import Caller, Permission, Role
from beton.store import api_keys, members, sessions
from beton.store.records import AccessLink, ApiKey, Member
from beton.work.workplace import Workplace

LONGEST_NAME = 200


def invite(place: Workplace, email: str, role: Role, *, actor: str) -> tuple[AccessLink, str]:
    """An invitation and its address, which works once, for seven days; a former one for the same person no more."""
    with place.store.transaction() as tx:
        plain = members.invitable(tx, email)
        sessions.withdraw_links(tx, plain)
        made, token = sessions.make_link(tx, "invite", plain, actor=actor, role=role)
    return made, f"{place.settings.address}/link/{token}"


def put_out(place: Workplace, member: str, *, actor: str) -> Member:
    """Remove a member, known by id or e-mail address; their sessions and links end at once."""
    with place.store.transaction() as tx:
        gone = members.remove(tx, member, actor=actor)
        sessions.withdraw_links(tx, gone.email)
    return gone


def make_key(place: Workplace, name: str, scopes: Collection[Permission], *, caller: Caller) -> tuple[ApiKey, str]:
    """A key for a part of what its maker may do, and its text, which is shown once."""
    if not name or len(name) > LONGEST_NAME or not name.isprintable():
        raise BadInput("A key needs a name.", [Fault("name", "is empty, too long, or more than a line")])
    if beyond := set(scopes) - caller.permissions:
        raise Forbidden(f"A key cannot have what its maker has not: {', '.join(sorted(beyond))}.")
    with place.store.transaction() as tx:
        return api_keys.issue(tx, name, set(scopes), actor=caller.actor)
