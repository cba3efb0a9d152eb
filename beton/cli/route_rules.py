"""`beton routes rules` and `beton routes preview`: what a route takes, and what it would have sent."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from beton.cli.opening import actor, opened
from beton.cli.options import AsJson
from beton.cli.printing import print_json, say, table, write
from beton.errors import BadInput, Fault

if TYPE_CHECKING:
    from beton.store.route_rules import Rules

RulesFile = Annotated[Path | None, Parameter(name="--set", help="A JSON file with the whole rules, or `-` for standard input.")]


def rules(name: Annotated[str, Parameter(help="The route, by name or id.")], /, *, given: RulesFile = None, as_json: AsJson = False) -> None:
    """Print a route's rules, or set them: `passes`, `cooldown`, `owners`, `template`."""
    with opened() as place:
        from beton.store import routes
        from beton.work.ways_out import change_rules

        if given is not None:
            route = change_rules(place, name, read_rules(given), actor=actor())
        else:
            with place.store.reading() as tx:
                route = routes.get(tx, name)
    told = route.rules.model_dump(mode="json")
    if as_json:
        print_json(told)
        return
    for name, part in told.items():
        write(f"{name}: {json.dumps(part)}")


def preview(
    name: Annotated[str | None, Parameter(help="The route, by name or id; none: rules alone.")] = None,
    /,
    *,
    given: Annotated[Path | None, Parameter(name="--rules", help="A JSON file with other rules to try, or `-`.")] = None,
    weeks: Annotated[int, Parameter(help="How many weeks back, at most 12.")] = 4,
    as_json: AsJson = False,
) -> None:
    """Tell what would have been sent in the last weeks. Nothing is sent."""
    with opened() as place:
        from beton.work.previewing import preview as play

        found = play(place, route=name, rules=None if given is None else read_rules(given), weeks=weeks)
    if as_json:
        for one in found.lines:
            signal = one.candidate.signal
            told = {"unit": signal.unit_id, "hypothesis_id": signal.hypothesis_id, "fired_at": signal.fired_at.isoformat()}
            print_json(told | {"why_not": one.why, "owner": one.owner, "text": one.text})
        return
    kept_back = ", ".join(f"{number} {why}" for why, number in sorted(found.why.items())) or "none"
    write(f"Since {found.since:%Y-%m-%d}: {found.sent} would have been sent. Kept back: {kept_back}.")
    for member, number in sorted(found.turns.items()):
        write(f"{member} would have had {number}.")
    lines = [
        (f"{one.candidate.signal.fired_at:%Y-%m-%d %H:%M}", one.candidate.signal.unit_id or "", one.why or "goes", one.text) for one in found.lines
    ]
    table(("fired", "unit", "would", "text"), lines)
    say("Fires of backtests stand in for live hypotheses that had no signal yet.")


def read_rules(path: Path) -> Rules:
    """Rules from a JSON file or standard input."""
    from pydantic import ValidationError

    from beton.store.route_rules import Rules

    try:
        text = sys.stdin.read() if str(path) == "-" else path.read_text(encoding="utf-8")
        return Rules.model_validate(json.loads(text))
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}.", [Fault("rules", "cannot be read")]) from None
    except ValidationError as error:
        faults = [Fault(".".join(map(str, one["loc"])), one["msg"]) for one in error.errors(include_input=False, include_url=False)]
        raise BadInput("These are no rules of a route.", faults, code="route.rules_invalid") from None
    except ValueError as error:
        raise BadInput("This is not JSON.", [Fault("rules", str(error))]) from None
