"""`beton person`: what is known of one person, and its erasure."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from beton.cli.opening import InWorkspace, actor, opened
from beton.cli.options import AsJson
from beton.cli.printing import print_json, say, write
from beton.errors import BadInput

Unit = Annotated[str, Parameter(help="The person's id as PostHog has it; - reads it from standard input, where no other user sees it.")]
Kind = Annotated[Literal["person", "account"], Parameter(name="--kind", help="person, or account for the key of a group.")]
Of = Annotated[str | None, Parameter(name="--connection", help="Only of this connection; all of the workspace unless given.")]


def erase(unit: Unit, /, *, kind: Kind = "person", connection: Of = None, workspace: InWorkspace = None, as_json: AsJson = False) -> None:
    """Erase a person everywhere, and keep them from being written down again. Their signals stay as bare facts that lead to nobody. Receivers have
    to be asked separately, and backups expire by themselves."""
    unit_id = _read(unit)
    with opened(workspace=workspace) as place:
        from beton.work import forgetting

        found = forgetting.erase(place, unit_id, kind=kind, connection=connection, actor=actor())
    if as_json:
        print_json({"erased": [{"connection_id": one.connection.id, "removed": one.erased.model_dump()} for one in found]})
        return
    for one in found:
        removed = ", ".join(f"{number} {name.replace('_', ' ')}" for name, number in one.erased.model_dump().items() if number)
        write(f"{one.connection.name}: {removed or 'nothing was known'}.")
    say("Erase them in PostHog and at receivers of signals too; after restoring an older backup, erase them again.")


def export(
    unit: Unit,
    /,
    *,
    file: Annotated[Path | None, Parameter(help="Write it there, readable by its owner only; to standard output unless given.")] = None,
    kind: Kind = "person",
    connection: Of = None,
    workspace: InWorkspace = None,
    as_json: AsJson = False,
) -> None:
    """Print all that is known of a person, as JSON in any case."""
    unit_id = _read(unit)
    with opened(workspace=workspace) as place:
        from beton.work import forgetting

        found = forgetting.export(place, unit_id, kind=kind, connection=connection, actor=actor())
    if file is None:
        print_json(found)
        return
    file.touch(mode=0o600, exist_ok=False)
    file.write_text(json.dumps(found, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    if as_json:
        print_json({"file": str(file)})
    else:
        say(f"Written to {file}.")


def _read(unit: str) -> str:
    unit_id = sys.stdin.readline().rstrip("\n") if unit == "-" else unit
    if not unit_id:
        raise BadInput("There is no id.")
    return unit_id
