"""Sessions of people who have signed in, and the single-use links that lead there. Of the tokens of both, the SHA-256 is kept.

A session ends when it was not used for some time, and in any case after some days; it is never prolonged, each sign-in makes a new one.
"""

import hashlib
import secrets
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlmodel import col

from beton.errors import NotFound
from beton.roles import Role
from beton.store import audit, workspaces
from beton.store.columns import table_of
from beton.store.people_tables import AccessLinkRow, AccountRow, MemberRow, SessionRow
from beton.store.prepared import prepared
from beton.store.records import AccessLink, LinkPurpose, Member
from beton.store.store import Store, Transaction

SEEN_EVERY = timedelta(minutes=1)
"""How exactly the last use of a session is known."""

LINK_LASTS: dict[LinkPurpose, timedelta] = {"invite": timedelta(days=7), "reset": timedelta(hours=24), "sign_in": timedelta(hours=1)}


def begin(tx: Transaction, member_id: str, *, lasts: timedelta, how: str, actor: str) -> str:
    """Sign a member in; the token for the cookie."""
    token = secrets.token_urlsafe(32)
    row = SessionRow(
        digest=_digest(token), workspace_id=tx.workspace_id, member_id=member_id, created_at=tx.now, seen_at=tx.now, expires_at=tx.now + lasts
    )
    tx.session.add(row)
    tx.session.execute(sa.update(MemberRow).where(col(MemberRow.id) == member_id).values(signed_in_at=tx.now))
    audit.write(tx, actor, "session.begin", "member", member_id, after={"how": how})
    return token


def holder(store: Store, token: str, *, idle: timedelta) -> tuple[str, Member] | None:
    """Workspace and member of a session that is not over."""
    digest, now = _digest(token), store.clock()
    with store.everywhere(secret=digest) as session:
        row = session.connection().execute(_SESSION, {"digest": digest}).first()
        if row is None or row.expires_at <= now or row.seen_at + idle <= now:
            return None
        inside = store.of(row.workspace_id)
        member = _member(inside.within(session), row.member_id)
    if member is not None and now - row.seen_at >= SEEN_EVERY:
        with inside.transaction() as tx:
            tx.session.execute(sa.update(SessionRow).where(col(SessionRow.digest) == digest).values(seen_at=tx.now))
    return None if member is None else (row.workspace_id, member)


def end(tx: Transaction, token: str) -> None:
    """Sign out."""
    tx.session.execute(sa.delete(SessionRow).where(col(SessionRow.digest) == _digest(token)))


def end_all(tx: Transaction, member_id: str, *, actor: str) -> int:
    """Sign a member out everywhere; how many sessions that were."""
    ended = tx.count(sa.delete(SessionRow).where(col(SessionRow.member_id) == member_id))
    audit.write(tx, actor, "session.end_all", "member", member_id, after={"sessions": ended})
    return ended


def count(tx: Transaction, member_id: str) -> int:
    """How many sessions a member has."""
    query = sa.select(sa.func.count()).select_from(SessionRow).where(col(SessionRow.member_id) == member_id)
    return tx.session.execute(query).scalar_one()


def drop_ended(tx: Transaction, idle: timedelta) -> int:
    """Forget sessions that are over, and links a month after they were; how many."""
    over = sa.or_(col(SessionRow.expires_at) <= tx.now, col(SessionRow.seen_at) <= tx.now - idle)
    old = col(AccessLinkRow.expires_at) <= tx.now - timedelta(days=30)
    return tx.count(sa.delete(SessionRow).where(over)) + tx.count(sa.delete(AccessLinkRow).where(old))


def make_link(tx: Transaction, purpose: LinkPurpose, email: str, *, actor: str, role: Role | None = None) -> tuple[AccessLink, str]:
    """A single-use link and its token, which is shown once. `role` is what an invitation offers."""
    token = secrets.token_urlsafe(32)
    expires: datetime = tx.now + LINK_LASTS[purpose]
    row = AccessLinkRow(
        digest=_digest(token), workspace_id=tx.workspace_id, purpose=purpose, email=email, role=role, created_at=tx.now, expires_at=expires
    )
    tx.session.add(row)
    audit.write(tx, actor, f"link.{purpose}", "access_link", row.digest[:12], after={"email": email, "role": role, "until": expires.isoformat()})
    return _link(row), token


def look_at_link(store: Store, token: str) -> tuple[str, AccessLink]:
    """Workspace and content of a link that can be used; it stays usable. `NotFound` for used, old and unknown ones alike."""
    digest = _digest(token)
    with store.everywhere(secret=digest) as session:
        row = session.execute(sa.select(AccessLinkRow).where(col(AccessLinkRow.digest) == digest)).scalars().first()
    if row is None or row.used_at is not None or row.expires_at <= store.clock():
        raise _gone()
    return row.workspace_id, _link(row)


def use_link(tx: Transaction, token: str) -> AccessLink:
    """Use a link up. Of two at once, one gets `NotFound`."""
    usable = (col(AccessLinkRow.digest) == _digest(token), col(AccessLinkRow.used_at).is_(None), col(AccessLinkRow.expires_at) > tx.now)
    if not tx.count(sa.update(AccessLinkRow).where(*usable).values(used_at=tx.now)):
        raise _gone()
    return _link(tx.session.get_one(AccessLinkRow, _digest(token)))


def invited_to(store: Store, email: str) -> str | None:
    """The workspace that an address was invited to last, and has not joined."""
    for one in reversed(workspaces.every(store)):
        with store.of(one.id).reading() as tx:
            if any(link.email == email.strip().lower() for link in pending(tx)):
                return one.id
    return None


def take_up(tx: Transaction, email: str) -> AccessLink:
    """Use up the open invitation of an address, which somebody has shown in another way to be theirs."""
    mine = (col(AccessLinkRow.purpose) == "invite", col(AccessLinkRow.email) == email, col(AccessLinkRow.used_at).is_(None))
    row = tx.session.execute(sa.select(AccessLinkRow).where(*mine, col(AccessLinkRow.expires_at) > tx.now).with_for_update()).scalars().first()
    if row is None:
        raise _gone()
    row.used_at = tx.now
    return _link(row)


def withdraw_links(tx: Transaction, email: str) -> int:
    """Let the unused links of an address lead nowhere; how many."""
    unused = (col(AccessLinkRow.email) == email, col(AccessLinkRow.used_at).is_(None))
    return tx.count(sa.delete(AccessLinkRow).where(*unused))


def pending(tx: Transaction) -> list[AccessLink]:
    """Invitations that nobody has taken up and that still can be, newest first."""
    open_ones = (col(AccessLinkRow.purpose) == "invite", col(AccessLinkRow.used_at).is_(None), col(AccessLinkRow.expires_at) > tx.now)
    rows = tx.session.execute(sa.select(AccessLinkRow).where(*open_ones).order_by(col(AccessLinkRow.created_at).desc())).scalars()
    return [_link(row) for row in rows]


_SESSIONS, _MEMBERS, _ACCOUNTS = (table_of(one).c for one in (SessionRow, MemberRow, AccountRow))
_SESSION = sa.select(_SESSIONS.workspace_id, _SESSIONS.member_id, _SESSIONS.seen_at, _SESSIONS.expires_at).where(
    _SESSIONS.digest == sa.bindparam("digest")
)
"""Whose session: asked before a workspace is known."""

_MEMBER = prepared(
    sa.select(*(one for one in _MEMBERS if one.name != "workspace_id"), _ACCOUNTS.email, _ACCOUNTS.name)
    .where(_ACCOUNTS.id == _MEMBERS.account_id)
    .where(_MEMBERS.id == sa.bindparam("member"))
)


def _member(tx: Transaction, member_id: str) -> Member | None:
    found = tx.rows(_MEMBER, member=member_id)
    return Member(**found[0]._mapping) if found else None


def _gone() -> NotFound:
    return NotFound("This link leads nowhere: it was used, has expired, or never was one.", code="link.gone", fix="Ask for a new one.")


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _link(row: AccessLinkRow) -> AccessLink:
    return AccessLink.model_validate(row.model_dump(exclude={"workspace_id", "digest"}))
