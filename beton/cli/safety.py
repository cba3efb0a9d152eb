"""`beton verify-audit` and `beton rotate-key`: whether the log is whole, and secrets under another key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from beton.cli.opening import InWorkspace, opened
from beton.cli.options import AsJson
from beton.cli.printing import print_json, say, write
from beton.errors import BadInput

if TYPE_CHECKING:
    from beton.store.audit import Checked
    from beton.store.records import AuditEntry


def verify_audit(
    *,
    head: Annotated[str | None, Parameter(help="NUMBER:CHAIN as an earlier call printed it: the log must still contain it.")] = None,
    workspace: InWorkspace = None,
    as_json: AsJson = False,
) -> int:
    """Follow the chain of the audit log from its origin, and print its newest value. Ends with 1 where it does not hold."""
    with opened(workspace=workspace) as place:
        from beton.store import audit

        with place.store.reading() as tx:
            found = audit.check(tx)
            lost = None if head is None else _lost(audit.entries(tx, before=_number(head) + 1, limit=1), head)
    holds = found.broken_at is None and lost is None
    if as_json:
        print_json({"holds": holds, "entries": found.entries, "head": f"{found.entries}:{found.head}", "broken_at": found.broken_at, "lost": lost})
    else:
        _say(found, lost)
    return 0 if holds else 1


def rotate_key(*, as_json: AsJson = False) -> None:
    """Seal every secret with the present key, while everything runs on. Before: set BETON_SECRET_KEY to a new key, BETON_OLD_SECRET_KEYS to the
    former, and start every process anew."""
    with opened() as place:
        from beton.store import workspaces
        from beton.store.rotation import reseal_all

        every = workspaces.every(place.store)
        changed = sum(reseal_all(place.store.of(one.id)) for one in every)
        active = place.store.sealer.active
    if as_json:
        print_json({"resealed": changed, "workspaces": len(every), "key_id": active})
        return
    write(f"{changed} secrets are sealed with key {active} now.")
    say("Now the former keys can be dropped from BETON_OLD_SECRET_KEYS.")


def _say(found: Checked, lost: str | None) -> None:
    if found.broken_at is not None:
        write(f"The audit log does not hold: entry {found.broken_at} was changed, or one before it removed.")
    elif lost is not None:
        write(f"The audit log was written anew or cut off: {lost} is not in it any more.")
    else:
        write(f"{found.entries} entries hold together. Keep this elsewhere: {found.entries}:{found.head}")


def _number(head: str) -> int:
    number, _, chain = head.partition(":")
    if not number.isdigit() or len(chain) != 64:
        raise BadInput("--head is not NUMBER:CHAIN.", fix="Give it as verify-audit printed it.")
    return int(number)


def _lost(entries: list[AuditEntry], head: str) -> str | None:
    found = f"{entries[0].number}:{entries[0].chain}" if entries else ""
    return None if found == head else head
