"""`beton workspaces`: teams that share this installation and see nothing of each other."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from beton.cli.opening import actor, opened
from beton.cli.options import AsJson
from beton.cli.printing import print_json, say, table, write


def add(name: Annotated[str, Parameter(help="What the team is called.")], /, *, as_json: AsJson = False) -> None:
    """Make a workspace. Its first member is invited with `beton members add`."""
    with opened(create=True) as place:
        from beton.store import workspaces

        made = workspaces.add(place.store, name, actor=actor())
    if as_json:
        print_json({"workspace_id": made.id, "name": made.name})
        return
    write(f"{made.id}: {made.name}")
    say(f"Next: beton members add EMAIL --role admin --workspace {made.id}")


def show(*, as_json: AsJson = False) -> None:
    """List the workspaces, the first one first."""
    with opened() as place:
        from beton.store import workspaces

        found = workspaces.every(place.store)
    if as_json:
        for one in found:
            print_json({"workspace_id": one.id, "name": one.name, "created_at": one.created_at.isoformat()})
        return
    table(("id", "name", "made"), [(one.id, one.name, f"{one.created_at:%Y-%m-%d}") for one in found])
