"""People: accounts, which belong to the installation, and memberships, which say what an account may do in a workspace."""

import re
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlmodel import col

from beton.errors import BadInput, Conflict, Fault, NotFound
from beton.roles import Role
from beton.store import audit
from beton.store.columns import new_id, table_of
from beton.store.passwords import Passwords
from beton.store.people_tables import AccountRow, MemberRow, SessionRow
from beton.store.prepared import prepared
from beton.store.records import Member
from beton.store.store import Store, Transaction

_EMAIL = re.compile(r"[^@\s\x00-\x1f\x7f\"'<>]{1,64}@[^@\s\x00-\x1f\x7f\"'<>]{1,189}")


def address(email: str) -> str:
    """An e-mail address as accounts are known by it; `BadInput` for what is none."""
    plain = email.strip().lower()
    if not _EMAIL.fullmatch(plain):
        raise BadInput("This is no e-mail address.", [Fault("email", "is no e-mail address")], fix="Write it like ada@example.com.")
    return plain


def invitable(tx: Transaction, email: str) -> str:
    """The address of somebody who is to be invited; `Conflict` for one who is a member."""
    plain = address(email)
    if find(tx, plain) is not None:
        raise _known(plain)
    return plain


def add(tx: Transaction, email: str, role: Role, *, actor: str, name: str = "") -> Member:
    """Let a person into the workspace; a new account where the address has none. `Conflict` for one who is a member."""
    email = address(email)
    account = _account(tx, email)
    if account is None:
        account = AccountRow(id=new_id("acc"), email=email, name=name or email.partition("@")[0], created_at=tx.now)
        tx.session.add(account)
    row = MemberRow(id=new_id("mbr"), workspace_id=tx.workspace_id, account_id=account.id, role=role, created_at=tx.now)
    try:
        tx.session.flush()
        tx.session.add(row)
        tx.session.flush()
    except IntegrityError:
        raise _known(email) from None
    audit.write(tx, actor, "member.add", "member", row.id, after={"email": email, "role": role})
    return _value(row, account)


def get(tx: Transaction, email_or_id: str) -> Member:
    """The member with this id or e-mail address."""
    return _value(*_row(tx, email_or_id))


def find(tx: Transaction, email: str) -> Member | None:
    """The member with this e-mail address, if there is one."""
    found = _find(tx, col(AccountRow.email) == address(email))
    return None if found is None else _value(*found)


def every(tx: Transaction) -> list[Member]:
    """All members, oldest first."""
    return [Member(**row._mapping) for row in tx.rows(_EVERY)]


_MEMBERS, _ACCOUNTS = table_of(MemberRow).c, table_of(AccountRow).c
_EVERY = prepared(
    sa.select(*((_MEMBERS if name in _MEMBERS else _ACCOUNTS)[name] for name in Member.model_fields))
    .where(_ACCOUNTS.id == _MEMBERS.account_id)
    .order_by(_MEMBERS.created_at, _MEMBERS.id)
)


def change_role(tx: Transaction, email_or_id: str, role: Role, *, actor: str) -> Member:
    """Give a member another role. The last admin stays one."""
    row, account = _row(tx, email_or_id)
    if row.role != role:
        _keep_an_admin(tx, row)
        audit.write(tx, actor, "member.change_role", "member", row.id, before={"role": row.role}, after={"role": role})
        row.role = role
    return _value(row, account)


def remove(tx: Transaction, email_or_id: str, *, actor: str) -> Member:
    """Put a member out, and end their sessions here. Keys that they made stay: they belong to the workspace. The account goes with its last
    membership only when it is erased."""
    row, account = _row(tx, email_or_id)
    _keep_an_admin(tx, row)
    gone = _value(row, account)
    tx.count(sa.delete(SessionRow).where(col(SessionRow.member_id) == row.id))
    tx.count(sa.delete(MemberRow).where(col(MemberRow.id) == gone.id))
    audit.write(tx, actor, "member.remove", "member", gone.id, before={"email": gone.email, "role": gone.role})
    return gone


def set_password(tx: Transaction, member_id: str, password_hash: str, *, actor: str) -> None:
    """Give an account another password, by its hash. All its sessions in this workspace end."""
    row, account = _row(tx, member_id)
    account.password_hash = password_hash
    tx.session.flush()
    tx.session.execute(sa.delete(SessionRow).where(col(SessionRow.member_id) == row.id))
    audit.write(tx, actor, "member.set_password", "member", row.id)


def with_password(store: Store, email: str, password: str, passwords: Passwords) -> tuple[str, str] | None:
    """Workspace and member of the account with this address and password: the membership that was used last. As much work for unknown addresses."""
    with store.everywhere() as session:
        query = sa.select(col(AccountRow.id), col(AccountRow.password_hash)).where(col(AccountRow.email) == email.strip().lower())
        found = next(iter(session.execute(query)), None)
    right = passwords.verify(None if found is None else found[1], password)
    return _membership(store, found[0]) if right and found is not None else None


def with_subject(store: Store, issuer: str, subject: str, email: str | None) -> tuple[str, str] | None:
    """Workspace and member of the account that an identity provider knows by `subject`. An address that the provider has verified binds an account
    that is known by it and bound to none yet."""
    with store.everywhere() as session:
        known = sa.select(col(AccountRow.id)).where(col(AccountRow.issuer) == issuer, col(AccountRow.subject) == subject)
        account_id = session.execute(known).scalar()
        if account_id is None and email is not None:
            free = sa.select(col(AccountRow.id)).where(col(AccountRow.email) == email.lower(), col(AccountRow.issuer).is_(None))
            account_id = session.execute(free).scalar()
    found = None if account_id is None else _membership(store, account_id)
    if found is not None and account_id is not None:
        _bind(store.of(found[0]), account_id, issuer, subject)
    return found


def has_password(store: Store, email: str) -> bool:
    """Whether an address has an account that a password or a provider already opens."""
    with store.everywhere() as session:
        query = sa.select(AccountRow).where(col(AccountRow.email) == address(email))
        account = session.execute(query).scalars().first()
    return account is not None and (account.password_hash is not None or account.issuer is not None)


def any_admin(store: Store) -> bool:
    """Whether anybody could sign in and let others in."""
    with store.reading() as tx:
        return _admins(tx, locked=False) > 0


def _bind(store: Store, account_id: str, issuer: str, subject: str) -> None:
    with store.transaction() as tx:
        free = sa.update(AccountRow).where(col(AccountRow.id) == account_id, col(AccountRow.issuer).is_(None))
        tx.session.execute(free.values(issuer=issuer, subject=subject))


def _membership(store: Store, account_id: str) -> tuple[str, str] | None:
    with store.everywhere(account=account_id) as session:
        query = sa.select(col(MemberRow.workspace_id), col(MemberRow.id)).where(col(MemberRow.account_id) == account_id)
        last = (col(MemberRow.signed_in_at).desc().nulls_last(), col(MemberRow.created_at))
        return next(iter(session.execute(query.order_by(*last).limit(1))), None)


def _known(email: str) -> Conflict:
    return Conflict(f"{email} is a member already.", code="conflict.member", fix="Change their role instead.")


def _keep_an_admin(tx: Transaction, row: MemberRow) -> None:
    if row.role == Role.ADMIN and _admins(tx, locked=True) == 1:
        raise Conflict("This is the last admin.", code="conflict.last_admin", fix="Make somebody else an admin first.")


def _admins(tx: Transaction, *, locked: bool) -> int:
    admins = sa.select(col(MemberRow.id)).where(col(MemberRow.role) == str(Role.ADMIN))
    return len(tx.session.execute(admins.with_for_update() if locked else admins).all())


def _account(tx: Transaction, email: str) -> AccountRow | None:
    return tx.session.execute(sa.select(AccountRow).where(col(AccountRow.email) == email)).scalars().first()


def _find(tx: Transaction, which: Any) -> tuple[MemberRow, AccountRow] | None:
    query = sa.select(MemberRow, AccountRow).join(AccountRow, col(AccountRow.id) == col(MemberRow.account_id)).where(which)
    return next(iter(tx.session.execute(query)), None)


def _row(tx: Transaction, email_or_id: str) -> tuple[MemberRow, AccountRow]:
    found = _find(tx, sa.or_(col(MemberRow.id) == email_or_id, col(AccountRow.email) == email_or_id.strip().lower()))
    if found is None:
        raise NotFound(f"There is no member {email_or_id}.")
    return found


def _value(row: MemberRow, account: AccountRow) -> Member:
    return Member(**row.model_dump(exclude={"workspace_id"}), email=account.email, name=account.name)
