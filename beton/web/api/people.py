"""Who may come in: oneself, members, keys."""

from __future__ import annotations

from litestar import Response, delete, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, JSONBody

from beton.roles import Permission
from beton.store import api_keys, members
from beton.web.access.policy import needs
from beton.web.api.access_resources import CallerRead, InvitationRead, KeyPage, KeyRead, MemberPage, MemberRead, NewKeyRead
from beton.web.api.asking import refusals
from beton.web.api.bodies import NewKeyBody, NewMemberBody, RoleBody
from beton.web.injected import TheActor, TheCaller, ThePlace
from beton.work.inviting import invite, make_key, put_out


@get("/me", opt=needs(Permission.READ), sync_to_thread=False, responses=refusals(), operation_id="readMe", tags=["access"])
def read_me(caller: TheCaller) -> CallerRead:
    """Who is asking, and what they may do."""
    return CallerRead.of(caller)


@get("/members", opt=needs(Permission.READ), sync_to_thread=True, responses=refusals(), operation_id="listMembers", tags=["access"])
def list_members(place: ThePlace) -> MemberPage:
    """All members of the workspace, oldest first."""
    with place.store.reading() as tx:
        found = members.every(tx)
    return MemberPage(data=[MemberRead.of(one) for one in found], next_cursor=None, has_more=False)


@post("/members", opt=needs(Permission.MANAGE_MEMBERS), sync_to_thread=True, responses=refusals(409), operation_id="inviteMember", tags=["access"])
def invite_member(place: ThePlace, actor: TheActor, data: JSONBody[NewMemberBody]) -> InvitationRead:
    """Invite somebody. The link works once, for seven days; a former one for the same address no more."""
    return InvitationRead.of(*invite(place, data.email, data.role, actor=actor))


@post(
    "/members/{member:str}/role",
    opt=needs(Permission.MANAGE_MEMBERS),
    status_code=200,
    sync_to_thread=True,
    responses=refusals(404, 409),
    operation_id="changeRole",
    tags=["access"],
)
def change_role(place: ThePlace, actor: TheActor, member: FromPath[str], data: JSONBody[RoleBody]) -> MemberRead:
    """Give a member, known by id or e-mail address, another role. The last admin stays one."""
    with place.store.transaction() as tx:
        return MemberRead.of(members.change_role(tx, member, data.role, actor=actor))


@delete(
    "/members/{member:str}",
    opt=needs(Permission.MANAGE_MEMBERS),
    status_code=200,
    sync_to_thread=True,
    responses=refusals(404, 409),
    operation_id="removeMember",
    tags=["access"],
)
def remove_member(place: ThePlace, actor: TheActor, member: FromPath[str]) -> MemberRead:
    """Put a member out; their sessions end at once."""
    return MemberRead.of(put_out(place, member, actor=actor))


@get("/keys", opt=needs(Permission.MANAGE_MEMBERS), sync_to_thread=True, responses=refusals(), operation_id="listKeys", tags=["access"])
def list_keys(place: ThePlace) -> KeyPage:
    """All keys, revoked ones too, oldest first."""
    with place.store.reading() as tx:
        found = api_keys.every(tx)
    return KeyPage(data=[KeyRead.of(one) for one in found], next_cursor=None, has_more=False)


@post("/keys", opt=needs(Permission.MANAGE_MEMBERS), sync_to_thread=True, responses=refusals(), operation_id="addKey", tags=["access"])
def add_key(place: ThePlace, caller: TheCaller, data: JSONBody[NewKeyBody]) -> Response[NewKeyRead]:
    """Make a key for a part of what oneself may do. Keep the `key` of the answer: it is shown this once."""
    return Response(NewKeyRead.with_text(*make_key(place, data.name, data.scopes, caller=caller)))


@post(
    "/keys/{key_id:str}/revoke",
    opt=needs(Permission.MANAGE_MEMBERS),
    status_code=200,
    sync_to_thread=True,
    responses=refusals(404),
    operation_id="revokeKey",
    tags=["access"],
)
def revoke_key(place: ThePlace, actor: TheActor, key_id: FromPath[str]) -> KeyRead:
    """Let a key in no more. Doing it twice changes nothing."""
    with place.store.transaction() as tx:
        return KeyRead.of(api_keys.revoke(tx, key_id, actor=actor))


HANDLERS: list[HTTPRouteHandler] = [
    read_me, list_members, invite_member, change_role, remove_member, list_keys, add_key, revoke_key,
]  # fmt: skip
