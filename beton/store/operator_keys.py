"""Tokens that let operators and programs in: 256 random bits, of which the SHA-256 is kept.

A fast hash is right here: nobody can guess 256 random bits, however fast the guesses are checked. The comparison is an index look-up of a hash,
whose timing tells nothing about the token.
"""

import hashlib
import secrets

import sqlalchemy as sa
from sqlmodel import col

from beton.errors import NotFound
from beton.store import audit
from beton.store.columns import new_id
from beton.store.records import OperatorKey
from beton.store.store import Transaction
from beton.store.tables import OperatorKeyRow

TOKEN_PREFIX = "btn_op_"  # noqa: S105 - what tokens begin with, not one of them
SHOWN = len(TOKEN_PREFIX) + 6


def issue(tx: Transaction, name: str, *, actor: str) -> tuple[OperatorKey, str]:
    """A new key and its token, which is shown once and cannot be recovered."""
    token = TOKEN_PREFIX + secrets.token_urlsafe(32)
    row = OperatorKeyRow(id=new_id("key"), workspace_id=tx.workspace_id, name=name, prefix=token[:SHOWN], digest=_digest(token), created_at=tx.now)
    tx.session.add(row)
    audit.write(tx, actor, "operator_key.issue", "operator_key", row.id, after={"name": name})
    return _value(row), token


def holder(tx: Transaction, token: str) -> OperatorKey | None:
    """The key that a token belongs to, unless it is unknown or revoked."""
    query = sa.select(OperatorKeyRow).where(
        col(OperatorKeyRow.digest) == _digest(token),
        col(OperatorKeyRow.workspace_id) == tx.workspace_id,
        col(OperatorKeyRow.revoked_at).is_(None),
    )
    row = tx.session.execute(query).scalars().first()
    return None if row is None else _value(row)


def every(tx: Transaction) -> list[OperatorKey]:
    """All keys, revoked ones too, oldest first."""
    query = sa.select(OperatorKeyRow).where(col(OperatorKeyRow.workspace_id) == tx.workspace_id)
    rows = tx.session.execute(query.order_by(col(OperatorKeyRow.created_at), col(OperatorKeyRow.id))).scalars()
    return [_value(row) for row in rows]


def revoke(tx: Transaction, key_id: str, *, actor: str) -> OperatorKey:
    """Let a key in no more. Doing it twice changes nothing."""
    row = tx.session.get(OperatorKeyRow, key_id)
    if row is None or row.workspace_id != tx.workspace_id:
        raise NotFound(f"There is no operator key {key_id}.")
    if row.revoked_at is None:
        row.revoked_at = tx.now
        audit.write(tx, actor, "operator_key.revoke", "operator_key", key_id)
    return _value(row)


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _value(row: OperatorKeyRow) -> OperatorKey:
    return OperatorKey.model_validate(row.model_dump(exclude={"workspace_id", "digest"}))
