"""`beton sending`, `beton suppressions` and `beton snoozes`: whom signals reach, and the stop of everything."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from beton.cli.opening import actor, opened
from beton.cli.options import AsJson, instant
from beton.cli.printing import print_json, say, table, write
from beton.errors import BadInput, Fault

ListName = Literal["customers", "open_opportunities", "internal", "competitors"]
TheList = Annotated[ListName, Parameter(help="Which list.")]


def stop(*, reason: Annotated[str | None, Parameter(help="Why; everybody sees it.")] = None, as_json: AsJson = False) -> None:
    """Send nothing until it is started again. What is on its way arrives; all else waits."""
    with opened() as place:
        from beton.work import dispatching

        found = dispatching.stop(place, actor=actor(), reason=reason)
    if as_json:
        print_json({"stopped_at": found.at.isoformat(), "actor": found.actor, "reason": found.reason})
    else:
        write(f"All sending is stopped, since {found.at:%Y-%m-%d %H:%M} UTC, by {found.actor}.")


def start(
    *,
    drop: Annotated[bool, Parameter(help="Give up what has waited, instead of sending it now.", negative=(), show_default=False)] = False,
    as_json: AsJson = False,
) -> None:
    """Send again."""
    with opened() as place:
        from beton.work import dispatching

        dropped = dispatching.start(place, actor=actor(), drop=drop)
    if as_json:
        print_json({"dropped": dropped})
    else:
        write(f"Signals are sent again.{f' {dropped} deliveries were given up.' if drop else ''}")


def status(*, as_json: AsJson = False) -> None:
    """Tell whether anything is sent, and what holds signals back."""
    with opened() as place:
        from beton.work.reaching import standing

        found = standing(place)
    if as_json:
        stopped = None if found.stopped is None else found.stopped.model_dump(mode="json")
        print_json({"stopped": stopped, "cooldown": found.cooldown.model_dump(), "suppressed": found.counts, "snoozes": len(found.snoozes)})
        return
    write("Signals are sent." if found.stopped is None else f"All sending is stopped since {found.stopped.at:%Y-%m-%d %H:%M} UTC.")
    most = found.cooldown
    write(f"Cooldown: {most.unit_days:g} days a unit, {most.account_days:g} days an account, {most.per_day or 'any number'} a day.")
    table(("list", "lines"), [(name, str(number)) for name, number in sorted(found.counts.items())])
    write(f"Snoozed: {len(found.snoozes)}.")


def cooldown(
    *,
    unit_days: Annotated[float, Parameter(help="Days after a signal about a unit without another one; 0: no limit.")] = 0,
    account_days: Annotated[float, Parameter(help="The same for all units of an account.")] = 0,
    per_day: Annotated[int | None, Parameter(help="Most signals in 24 hours.")] = None,
    as_json: AsJson = False,
) -> None:
    """Set how often the same may come up again. What is not named has no limit."""
    from pydantic import ValidationError

    from beton.store.route_rules import Cooldown

    try:
        wanted = Cooldown(unit_days=unit_days, account_days=account_days, per_day=per_day)
    except ValidationError as error:
        raise BadInput("This is no cooldown.", [Fault(str(one["loc"][0]), one["msg"]) for one in error.errors()]) from None
    with opened() as place:
        from beton.work.reaching import choose_cooldown

        choose_cooldown(place, wanted, actor=actor())
    if as_json:
        print_json(wanted.model_dump())
    else:
        write("It holds for signals from now on.")


def suppress(
    name: TheList,
    source: Annotated[Path, Parameter(help="Lines or CSV with domains, e-mail addresses or ids; `-` for standard input.")],
    /,
    *,
    replace: Annotated[bool, Parameter(help="Empty the list first.", negative=(), show_default=False)] = False,
    as_json: AsJson = False,
) -> None:
    """Put all that a file names on a list: signals about them are written down and go nowhere."""
    try:
        text = sys.stdin.read() if str(source) == "-" else source.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{source} cannot be read.", [Fault("file", str(error))]) from None
    with opened() as place:
        from beton.work import reaching

        reaching.entries_in(text)  # before anything is emptied
        if replace:
            reaching.clear(place, name, actor=actor())
        named, added = reaching.suppress(place, name, text, actor=actor())
    if as_json:
        print_json({"list": name, "named": named, "added": added})
    else:
        write(f"{named} named, {added} of them new on {name}.")


def suppressed(name: Annotated[ListName | None, Parameter(help="Only this list.")] = None, /, *, as_json: AsJson = False) -> None:
    """List who gets no signals, the last added first."""
    with opened() as place:
        from beton.work.reaching import suppressed as listing

        found = listing(place, name=name, limit=500)
    if as_json:
        for one in found.data:
            print_json(one.model_dump(mode="json"))
        return
    table(("list", "kind", "who", "id", "added by"), [(one.list, one.named, one.label, one.id, one.actor) for one in found.data])
    if found.next_after:
        say("There are more; the page and the API show all.")


def unsuppress(line: Annotated[str, Parameter(help="The id of a line.")], /, *, as_json: AsJson = False) -> None:
    """Take a line off its list."""
    with opened() as place:
        from beton.work.reaching import unsuppress as take_off

        was = take_off(place, line, actor=actor())
    if as_json:
        print_json(was.model_dump(mode="json"))
    else:
        write(f"{was.label} is off {was.list}.")


def snooze(
    who: Annotated[str, Parameter(help="A domain, an e-mail address, or an id of a person or group in PostHog.")],
    /,
    *,
    until: Annotated[str, Parameter(help="An instant in RFC 3339, or a day.")],
    reason: Annotated[str | None, Parameter(help="Why.")] = None,
    as_json: AsJson = False,
) -> None:
    """Send nothing about somebody until then."""
    end = instant(until, "--until")
    if end is None:
        raise BadInput("A snooze needs its end.", [Fault("until", "is missing")])
    with opened() as place:
        from beton.work.reaching import snooze as put_off

        made = put_off(place, who, end, actor=actor(), reason=reason)
    if as_json:
        print_json(made.model_dump(mode="json"))
    else:
        write(f"Nothing is sent about {made.label} until {made.until:%Y-%m-%d %H:%M} UTC.")


def snoozes(*, as_json: AsJson = False) -> None:
    """List who is snoozed."""
    with opened() as place:
        from beton.work.reaching import standing

        found = standing(place).snoozes
    if as_json:
        for one in found:
            print_json(one.model_dump(mode="json"))
        return
    table(("who", "until", "id", "by", "reason"), [(one.label, f"{one.until:%Y-%m-%d %H:%M}", one.id, one.actor, one.reason or "") for one in found])


def wake(snooze_id: Annotated[str, Parameter(help="The id of a snooze.")], /, *, as_json: AsJson = False) -> None:
    """End a snooze."""
    with opened() as place:
        from beton.work.reaching import wake as end

        was = end(place, snooze_id, actor=actor())
    if as_json:
        print_json(was.model_dump(mode="json"))
    else:
        write(f"{was.label} is snoozed no more.")
