"""`beton keys`: what lets programs in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from beton.cli.opening import InWorkspace, actor, opened
from beton.cli.options import MANY, AsJson
from beton.cli.printing import print_json, say, table, write
from beton.errors import BadInput, Fault
from beton.roles import ROLES, Permission, Role

if TYPE_CHECKING:
    from beton.store.records import ApiKey

Scopes = Annotated[
    Sequence[str],
    MANY,
    Parameter(name="--scope", help="A permission that the key has, or a role for all of its. Repeatable. What a viewer may, unless given."),
]


def new(
    name: Annotated[str, Parameter(help="What the key is for, for the audit log.")],
    /,
    *,
    scope: Scopes = (),
    workspace: InWorkspace = None,
    as_json: AsJson = False,
) -> None:
    """Make a key for the API. It is shown this once."""
    with opened(create=True, workspace=workspace) as place:
        from beton.store import api_keys

        with place.store.transaction() as tx:
            key, text = api_keys.issue(tx, name, permissions(scope), actor=actor())
    if as_json:
        print_json(_json(key) | {"key": text})
        return
    write(f"{key.id}: {key.name}, for {', '.join(key.scopes)}")
    say(f"The key, shown only now: {text}")


def show(*, workspace: InWorkspace = None, as_json: AsJson = False) -> None:
    """List the keys, revoked ones too."""
    with opened(workspace=workspace) as place:
        from beton.store import api_keys

        with place.store.reading() as tx:
            found = api_keys.every(tx)
    if as_json:
        for one in found:
            print_json(_json(one))
        return
    rows = [(one.id, one.name, f"{one.prefix}…", ", ".join(one.scopes), _day(one.last_used_at), "revoked" if one.revoked_at else "") for one in found]
    table(("id", "name", "key", "scopes", "last used", ""), rows)


def revoke(key_id: Annotated[str, Parameter(help="The id of the key.")], /, *, workspace: InWorkspace = None, as_json: AsJson = False) -> None:
    """Let a key in no more."""
    with opened(workspace=workspace) as place:
        from beton.store import api_keys

        with place.store.transaction() as tx:
            key = api_keys.revoke(tx, key_id, actor=actor())
    if as_json:
        print_json(_json(key))
    else:
        write(f"{key.id} is revoked.")


def permissions(named: Sequence[str]) -> frozenset[Permission]:
    """What some scopes and roles come to. Raises BadInput with what there is."""
    found: set[Permission] = set()
    for one in named or (Role.VIEWER,):
        if one in set(Role):
            found |= ROLES[Role(one)]
        elif one in set(Permission):
            found.add(Permission(one))
        else:
            raise BadInput(f"There is no permission {one}.", [Fault("--scope", f"{one!r} is none", None, tuple(Permission))])
    return frozenset(found)


def _day(at: Any) -> str:
    return "never" if at is None else f"{at:%Y-%m-%d}"


def _json(key: ApiKey) -> dict[str, Any]:
    return {"key_id": key.id} | key.model_dump(mode="json", exclude={"id"})
