"""`beton keys`: who may use the pages and the API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from beton.cli.opening import actor, opened, tell_operator_key
from beton.cli.options import AsJson
from beton.cli.printing import print_json, table, write

if TYPE_CHECKING:
    from beton.store.records import OperatorKey


def new(name: Annotated[str, Parameter(help="Whose key it is, for the audit log.")], /, *, as_json: AsJson = False) -> None:
    """Make an operator key. Its token is shown this once."""
    with opened(create=True) as place:
        from beton.store import operator_keys

        with place.store.transaction() as tx:
            key, token = operator_keys.issue(tx, name, actor=actor())
    if as_json:
        print_json(_json(key) | {"token": token})
        return
    write(f"{key.id}: {key.name}")
    tell_operator_key(token)


def show(*, as_json: AsJson = False) -> None:
    """List the operator keys, revoked ones too."""
    with opened() as place:
        from beton.store import operator_keys

        with place.store.reading() as tx:
            found = operator_keys.every(tx)
    if as_json:
        for one in found:
            print_json(_json(one))
        return
    rows = [(one.id, one.name, f"{one.prefix}…", f"{one.created_at:%Y-%m-%d}", "revoked" if one.revoked_at else "") for one in found]
    table(("id", "name", "token", "made", ""), rows)


def revoke(key_id: Annotated[str, Parameter(help="The id of the key.")], /, *, as_json: AsJson = False) -> None:
    """Let a key in no more."""
    with opened() as place:
        from beton.store import operator_keys

        with place.store.transaction() as tx:
            key = operator_keys.revoke(tx, key_id, actor=actor())
    if as_json:
        print_json(_json(key))
    else:
        write(f"{key.id} is revoked.")


def _json(key: OperatorKey) -> dict[str, Any]:
    told = {"key_id": key.id, "name": key.name, "prefix": key.prefix, "created_at": key.created_at.isoformat()}
    return told | {"revoked_at": None if key.revoked_at is None else key.revoked_at.isoformat()}
