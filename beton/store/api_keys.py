"""Keys that let programs in: `btn_`, 43 characters that carry 256 random bits, and six that check them.

A typing mistake is told by the check alone, without asking the database. Of a key the SHA-256 is kept. A fast hash is right here: nobody can guess
256 random bits, however fast the guesses are checked. The comparison is an index look-up of a hash, whose timing tells nothing about the key.
"""

import hashlib
import re
import secrets
from collections.abc import Collection
from datetime import timedelta

import sqlalchemy as sa
from sqlmodel import col

from beton.errors import BadInput, Fault, NotFound
from beton.roles import Permission
from beton.store import audit
from beton.store.columns import new_id, table_of
from beton.store.people_tables import ApiKeyRow
from beton.store.prepared import prepared
from beton.store.records import ApiKey
from beton.store.store import Store, Transaction

PREFIX = "btn_"
SHOWN = len(PREFIX) + 6
CHECK = 6
NOTED_EVERY = timedelta(minutes=1)
"""How exactly the last use of a key is known."""

_KEYS = table_of(ApiKeyRow).c
_KEY = sa.select(*_KEYS).where(_KEYS.digest == sa.bindparam("digest"), _KEYS.revoked_at.is_(None))
"""Whose key: asked before a workspace is known."""

_EVERY = prepared(sa.select(*(_KEYS[name] for name in ApiKey.model_fields)).order_by(_KEYS.created_at, _KEYS.id))

_FORM = re.compile(rf"{PREFIX}([A-Za-z0-9_-]{{43}})([A-Za-z0-9_-]{{{CHECK}}})")


def issue(tx: Transaction, name: str, scopes: Collection[Permission], *, actor: str) -> tuple[ApiKey, str]:
    """A new key for some permissions, and its text, which is shown once and cannot be recovered."""
    if not scopes:
        raise BadInput("A key that may do nothing is of no use.", [Fault("scopes", "is empty")])
    secret = secrets.token_urlsafe(32)
    text = f"{PREFIX}{secret}{_check(secret)}"
    row = ApiKeyRow(
        id=new_id("key"),
        workspace_id=tx.workspace_id,
        name=name,
        prefix=text[:SHOWN],
        digest=_digest(text),
        scopes=sorted(scopes),
        created_by=actor,
        created_at=tx.now,
    )
    tx.session.add(row)
    audit.write(tx, actor, "api_key.issue", "api_key", row.id, after={"name": name, "scopes": row.scopes})
    return _value(row), text


def well_formed(text: str) -> bool:
    """Whether a text is a key without a typing mistake. Says nothing about whether anybody has it."""
    found = _FORM.fullmatch(text)
    return found is not None and secrets.compare_digest(_check(found[1]), found[2])


def holder(store: Store, text: str) -> tuple[str, ApiKey] | None:
    """The workspace and the key that a text belongs to, unless it is unknown or revoked."""
    if not well_formed(text):
        return None
    digest = _digest(text)
    with store.everywhere(secret=digest) as session:
        row = session.connection().execute(_KEY, {"digest": digest}).first()
    return None if row is None else (row.workspace_id, ApiKey(**{name: row._mapping[name] for name in ApiKey.model_fields}))


def note_use(store: Store, key: ApiKey) -> None:
    """Remember that a key was used just now. `store` is that of its workspace."""
    now = store.clock()
    if key.last_used_at is None or now - key.last_used_at >= NOTED_EVERY:
        with store.transaction() as tx:
            tx.session.execute(sa.update(ApiKeyRow).where(col(ApiKeyRow.id) == key.id).values(last_used_at=tx.now))


def every(tx: Transaction) -> list[ApiKey]:
    """All keys, revoked ones too, oldest first."""
    return [ApiKey(**row._mapping) for row in tx.rows(_EVERY)]


def revoke(tx: Transaction, key_id: str, *, actor: str) -> ApiKey:
    """Let a key in no more. Doing it twice changes nothing."""
    row = tx.session.get(ApiKeyRow, key_id)
    if row is None:
        raise NotFound(f"There is no key {key_id}.")
    if row.revoked_at is None:
        row.revoked_at = tx.now
        audit.write(tx, actor, "api_key.revoke", "api_key", key_id, before={"name": row.name, "scopes": row.scopes})
    return _value(row)


def _check(secret: str) -> str:
    """36 bits that nearly every typing mistake changes."""
    return _letters(hashlib.sha256(b"beton api key\0" + secret.encode()).digest())


def _letters(digest: bytes) -> str:
    """The first characters of a digest in the alphabet of keys."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return "".join(alphabet[byte & 63] for byte in digest[:CHECK])


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _value(row: ApiKeyRow) -> ApiKey:
    return ApiKey.model_validate(row.model_dump(exclude={"workspace_id", "digest"}))
