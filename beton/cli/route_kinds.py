"""`beton routes`, as far as kinds of routes differ: settings, what receivers need, what sending would change, and how reviewers hear."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from getpass import getpass
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from beton.cli.opening import actor, opened
from beton.cli.options import MANY, AsJson, pairs
from beton.cli.printing import print_json, say, table, write
from beton.errors import BadInput

RouteName = Annotated[str, Parameter(help="The route, by name or id.")]
Signal = Annotated[str, Parameter(help="The id of a signal.")]


@Parameter(name="*")
@dataclass(frozen=True)
class GivenSettings:
    """Settings of a kind of route; secrets from a variable, a file or a hidden prompt."""

    given: Annotated[
        Sequence[str], MANY, Parameter(name="--set", help="A setting of the kind, such as channel=C0123456789. Repeatable; see `routes kinds`.")
    ] = ()
    secret_env: Annotated[
        Sequence[str], MANY, Parameter(name="--secret-env", help="A secret setting and the variable that holds it, as token=NAME. Repeatable.")
    ] = ()
    secret_file: Annotated[
        Sequence[str], MANY, Parameter(name="--secret-file", help="A secret setting and the file that holds it, as token=PATH. Repeatable.")
    ] = ()

    def read(self, kind: str) -> dict[str, Any]:
        """As the settings of the kind take them. Raises BadInput."""
        from beton.routing.forms import form_fields, settings_from

        fields = {one.name: one for one in form_fields(kind)}
        texts = pairs("--set", self.given)
        if any(fields[name].shape == "secret" for name in texts if name in fields):
            say("Warning: a secret on the command line is visible to other users of this machine and stays in the shell's history.")
        texts |= {name: os.environ.get(variable, "") for name, variable in pairs("--secret-env", self.secret_env).items()}
        texts |= {name: _text_of(path) for name, path in pairs("--secret-file", self.secret_file).items()}
        unknown = sorted(set(texts) - set(fields))
        if unknown:
            raise BadInput(f"A route of kind {kind} has no setting {', '.join(unknown)}.", fix=f"It has: {', '.join(fields)}.")
        for name, field in fields.items():
            if field.shape == "secret" and field.required and not texts.get(name) and sys.stdin.isatty():
                texts[name] = getpass(f"{field.title}: ")
        return settings_from(kind, texts)


def kinds(kind: Annotated[str | None, Parameter(help="Tell the settings of this kind alone.")] = None, /, *, as_json: AsJson = False) -> None:
    """List the kinds of routes and the settings that each asks for."""
    from beton.routing.channels import CHANNELS, channel
    from beton.routing.forms import form_fields

    chosen = CHANNELS if kind is None else {kind: channel(kind)}
    if as_json:
        for name, one in chosen.items():
            print_json({"kind": name, "title": one.title, "effect": one.effect, "settings": [vars_of(field) for field in form_fields(name)]})
        return
    rows = [(name, field.name, "yes" if field.required else "no", field.default, field.help) for name in chosen for field in form_fields(name)]
    table(("kind", "setting", "required", "default", "what it is"), rows)


def set_up(name: RouteName, /, *, as_json: AsJson = False) -> None:
    """Make Beton's own fields in the CRM that a route leads to, as far as they are missing."""
    with opened() as place:
        from beton.work.preparing import set_up as prepare

        made = prepare(place, name, actor=actor())
    if as_json:
        print_json({"route": name, "made": made})
    else:
        write(f"Made: {', '.join(made)}." if made else "All that is needed is there.")


def difference(name: RouteName, signal_id: Signal, /, *, as_json: AsJson = False) -> None:
    """Tell what sending a signal would change in the CRM that a route leads to. It is read and not written."""
    with opened() as place:
        from beton.work.preparing import difference as compare

        found = compare(place, name, signal_id)
    if as_json:
        print_json(found.model_dump(mode="json"))
        return
    write(f"{found.action}: {found.why}")
    if found.changes:
        table(("field", "is", "would be"), [(one.name, one.before or "", one.after or "") for one in found.changes])


def reviewers(
    name: Annotated[str | None, Parameter(help="A route to Slack or to a mailbox, by name or id.")] = None,
    /,
    *,
    off: Annotated[bool, Parameter(help="Tell them nowhere.", negative=(), show_default=False)] = False,
    as_json: AsJson = False,
) -> None:
    """Choose where reviewers are told, once a day at most, that proposals wait; without a name, tell where that is."""
    with opened() as place:
        from beton.work.calling_reviewers import choose_route, chosen_route

        if name is not None and off:
            raise BadInput("Give a route or --off, not both.")
        route = choose_route(place, name, actor=actor()) if name is not None or off else chosen_route(place)
    if as_json:
        print_json({"route_id": None if route is None else route.id, "route": None if route is None else route.name})
    else:
        write("Reviewers are told nowhere." if route is None else f"Reviewers are told along {route.name}, at {route.address}.")


def vars_of(field: Any) -> dict[str, Any]:
    """A setting as JSON."""
    from dataclasses import asdict

    return asdict(field) | {"choices": list(field.choices)}


def _text_of(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"--secret-file {path}: {error}") from error
