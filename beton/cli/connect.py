"""`beton connect` and `beton taxonomy`: a PostHog project, checked and kept, and what it calls things."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from beton.cli.opening import actor, choose_connection, opened
from beton.cli.options import FLAG, AsJson, AsOf, instant
from beton.cli.printing import print_json, say, table, write
from beton.cli.progress import showing
from beton.cli.secret_input import KeySource

if TYPE_CHECKING:
    from backtest.taxonomy import Taxonomy, TaxonomyChange
    from beton.posthog.connection import Check

MARKS = {True: "ok", False: "failed", None: "not tried"}


def connect(
    name: Annotated[str, Parameter(help="What the connection is to be called.")],
    /,
    *,
    host: Annotated[str | None, Parameter(help="us, eu, or any address of your PostHog.")] = None,
    project: Annotated[str, Parameter(help="The project's number, as in the address of its pages.")] = "@current",
    key: KeySource | None = None,
    share: Annotated[float | None, Parameter(help="Share of PostHog's limits that Beton may use, above 0 up to 1.")] = None,
    new_key: Annotated[bool, FLAG, Parameter(name="--new-key", help="Give a kept connection another key, if that passes the checks.")] = False,
    as_json: AsJson = False,
) -> None:
    """Check a PostHog project and keep it under a name. Nothing is kept when a check fails."""
    from beton.errors import BadInput
    from beton.posthog.hosts import normalise_host
    from beton.settings import load_settings

    if new_key:
        _replace_key(name, key or KeySource(), as_json=as_json)
        return
    if host is None:
        raise BadInput("Say where your PostHog is.", fix="Give --host us, --host eu, or --host with its address.")
    settings = load_settings()
    if share is not None and not 0 < share <= 1:
        raise BadInput("--share is above 0 and at most 1.")
    where = normalise_host(host, allow_insecure=settings.allow_insecure_hosts)
    if project == "@current" and where.project_hint is not None:
        project = str(where.project_hint)
    secret = (key or KeySource()).read(str(where))
    part = settings.posthog_share if share is None else share
    with opened(settings, create=True) as place:
        from beton.work.connecting import check, keep

        report = asyncio.run(check(place, host, project, secret, part))
        if not as_json:
            tell_checks(report.checks)
        kept = keep(place, report, name=name, host=host, project_id=project, api_key=secret, share=part, actor=actor())
    told: dict[str, Any] = {"connection_id": kept.id, "name": kept.name, "host": kept.host, "project_id": kept.project_id}
    if as_json:
        print_json(told | {"timezone": kept.timezone, "share": kept.share, "checks": [check_json(one) for one in report.checks]})
        return
    write(f"Connected {kept.name}: project {kept.project_id} at {kept.host}.")
    say(f"Next: beton taxonomy {kept.name}")


def _replace_key(name: str, key: KeySource, *, as_json: bool) -> None:
    with opened() as place:
        from beton.work.connecting import replace_key

        kept = place.connection(name)
        report = asyncio.run(replace_key(place, kept, key.read(kept.host), actor=actor()))
    if as_json:
        print_json({"connection_id": kept.id, "name": kept.name, "checks": [check_json(one) for one in report.checks]})
    else:
        write(f"{kept.name} has another key, which passed every check.")


def tell_checks(checks: tuple[Check, ...]) -> None:
    """One line for each check, and what to do about those that failed."""
    for one in checks:
        write(f"{MARKS[one.ok]:9} {one.name}: {one.sentence}")
        if one.ok is False:
            write(f"          {one.fix} ({one.code})")


def check_json(one: Check) -> dict[str, Any]:
    """A check as JSON."""
    told = {"name": one.name, "scope": one.scope, "required": one.required, "ok": one.ok}
    return told | {"code": one.code, "sentence": one.sentence, "fix": one.fix}


def taxonomy(
    name: Annotated[str | None, Parameter(help="The connection; may be left out where there is only one.")] = None,
    /,
    *,
    values: Annotated[
        bool, Parameter(negative="--no-values", help="Sample values of event properties; they are kept sealed, for thirty days.")
    ] = True,
    kept: Annotated[bool, FLAG, Parameter(help="Show the snapshot that is kept and ask PostHog nothing.")] = False,
    as_of: AsOf = None,
    as_json: AsJson = False,
) -> None:
    """Read what a project calls things: events, properties and group types, with volumes; and what is untidy about the names."""
    with opened() as place:
        from agent.lint import lint
        from backtest.taxonomy import TaxonomyChange
        from beton.work.observing import observe
        from beton.work.provenance import signal_carriers

        connection = choose_connection(place, name)
        if kept:
            found, change = place.taxonomy(connection), TaxonomyChange()
        else:
            with showing() as tell:
                tell("Reading the taxonomy", 0, 1)
                found, change = asyncio.run(observe(place, connection, sample_values=values, as_of=instant(as_of)))
        remarks, signal = [one.to_json() for one in lint(found)], signal_carriers(place, connection.id)
    if as_json:
        told = {"connection": connection.name, "taxonomy": found.model_dump(mode="json"), "changes": change.model_dump(mode="json")}
        print_json(told | {"remarks": remarks, "signal": signal})
        return
    _tell_taxonomy(found, change)
    table(("remark", "what"), [(one["code"], one["sentence"]) for one in remarks])
    if signal:
        write("In the newest search, these events carried the signal: " + ", ".join(f"{one['event']} ({one['share']:.0%})" for one in signal))


def _tell_taxonomy(found: Taxonomy, change: TaxonomyChange) -> None:
    rows = [(one.name, f"{one.volume:,}", f"{one.units:,}", ", ".join(one.properties[:8])) for one in found.events]
    table(("event", "volume", "units", "properties"), rows, title=f"Events of the last {found.window_days} days", right=("volume", "units"))
    types = [(one.name, one.type, "" if one.cardinality is None else f"{one.cardinality:,}") for one in found.properties if one.kind == "event"]
    table(("property", "type", "values"), types, title="Properties of events", right=("values",))
    if found.group_types:
        write("Group types: " + ", ".join(one.name for one in found.group_types))
    for note in found.notes:
        say(f"Note: {note}")
    for what, names in change.model_dump().items():
        if names:
            say(f"{what.replace('_', ' ')}: {', '.join(names)}")
