"""`beton members`: who may sign in. Links are printed here, so no mail server is needed; each works once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from beton.cli.opening import InWorkspace, actor, link_address, opened
from beton.cli.options import AsJson
from beton.cli.printing import print_json, say, table, write
from beton.roles import Role

if TYPE_CHECKING:
    from beton.store.records import LinkPurpose, Member

Email = Annotated[str, Parameter(help="Their e-mail address, by which they sign in.")]
Who = Annotated[str, Parameter(help="The member, by e-mail address or id.")]
ItsRole = Annotated[Role, Parameter(name="--role", help="What they may do: see the page on access.")]


def add(email: Email, /, *, role: ItsRole = Role.VIEWER, workspace: InWorkspace = None, as_json: AsJson = False) -> None:
    """Invite somebody. The printed link works once, for seven days; a former one for the same address no more."""
    with opened(create=True, workspace=workspace) as place:
        from beton.store import members, sessions

        with place.store.transaction() as tx:
            email = members.invitable(tx, email)
            sessions.withdraw_links(tx, email)
            made, token = sessions.make_link(tx, "invite", email, actor=actor(), role=role)
        told = link_address(place.settings, token)
    if as_json:
        print_json({"email": email, "role": str(role), "link": told, "expires_at": made.expires_at.isoformat()})
        return
    write(told)
    say(f"{email} joins as {role} by opening this address until {made.expires_at:%Y-%m-%d %H:%M} UTC.")


def show(*, workspace: InWorkspace = None, as_json: AsJson = False) -> None:
    """List members, and invitations that are still open."""
    with opened(workspace=workspace) as place:
        from beton.store import members, sessions

        with place.store.reading() as tx:
            found, invited = members.every(tx), sessions.pending(tx)
    if as_json:
        for one in found:
            print_json(_json(one))
        for link in invited:
            print_json({"invited": link.email, "role": link.role, "expires_at": link.expires_at.isoformat()})
        return
    rows = [(one.email, one.name, str(one.role), one.id, f"{one.signed_in_at:%Y-%m-%d}" if one.signed_in_at else "never") for one in found]
    rows += [(link.email or "(whoever opens the link)", "", str(link.role), "invited", "") for link in invited]
    table(("e-mail", "name", "role", "id", "last sign-in"), rows)


def role(who: Who, new_role: Annotated[Role, Parameter(help="The new role.")], /, *, workspace: InWorkspace = None, as_json: AsJson = False) -> None:
    """Give a member another role. It holds from their next click on."""
    with opened(workspace=workspace) as place:
        from beton.store import members

        with place.store.transaction() as tx:
            changed = members.change_role(tx, who, new_role, actor=actor())
    _tell(changed, f"{changed.email} is {changed.role} now.", as_json=as_json)


def remove(who: Who, /, *, workspace: InWorkspace = None, as_json: AsJson = False) -> None:
    """Put a member out; their sessions end at once."""
    with opened(workspace=workspace) as place:
        from beton.store import members, sessions

        with place.store.transaction() as tx:
            gone = members.remove(tx, who, actor=actor())
            sessions.withdraw_links(tx, gone.email)
    _tell(gone, f"{gone.email} is no member any more.", as_json=as_json)


def reset(who: Who, /, *, workspace: InWorkspace = None, as_json: AsJson = False) -> None:
    """Make a link by which a member sets a new password. It works once, for a day."""
    _link("reset", who, workspace, as_json=as_json)


def link(who: Who, /, *, workspace: InWorkspace = None, as_json: AsJson = False) -> None:
    """Make a link that signs a member in. It works once, for an hour."""
    _link("sign_in", who, workspace, as_json=as_json)


def _link(purpose: LinkPurpose, who: str, workspace: str | None, *, as_json: bool) -> None:
    with opened(workspace=workspace) as place:
        from beton.store import members, sessions

        with place.store.transaction() as tx:
            member = members.get(tx, who)
            made, token = sessions.make_link(tx, purpose, member.email, actor=actor())
        told = link_address(place.settings, token)
    if as_json:
        print_json({"email": member.email, "link": told, "expires_at": made.expires_at.isoformat()})
        return
    write(told)
    say(f"For {member.email}, until {made.expires_at:%Y-%m-%d %H:%M} UTC.")


def _tell(member: Member, sentence: str, *, as_json: bool) -> None:
    if as_json:
        print_json(_json(member))
    else:
        write(sentence)


def _json(member: Member) -> dict[str, Any]:
    return {"member_id": member.id} | member.model_dump(mode="json", exclude={"id", "account_id"})
