"""Sources: where PostHog sends events to.

The address of a source ends in a token of 256 random bits, of which the SHA-256 is kept. A fast hash is right here, as with keys: nobody can guess
the bits. The look-up is one of an index by the hash, and what it finds is compared once more in constant time.
"""

import hashlib
import secrets
from collections.abc import Mapping
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlmodel import col

from beton.errors import Conflict, NotFound
from beton.store import audit
from beton.store.columns import new_id
from beton.store.inbound_records import InboundAddress, InboundSource, Listener, SourceStatus
from beton.store.inbound_tables import InboundAddressRow, InboundEventRow, InboundHourRow, InboundSourceRow
from beton.store.store import Store, Transaction

_TABLE, _SECRET = "inbound_source", "secret_sealed"
SHOWN = 6
"""Characters of a token that stay to be seen."""


def add(tx: Transaction, *, name: str, connection_id: str, mapping: Mapping[str, str], secret: str | None, actor: str) -> tuple[InboundSource, str]:
    """Keep a source, at first for trying out, and the token of its address, which is shown this once. `Conflict` when the name is taken."""
    taken = sa.select(col(InboundSourceRow.id)).where(col(InboundSourceRow.name) == name)
    if tx.session.execute(taken).first() is not None:
        raise _taken(name)
    row_id = new_id("src")
    row = InboundSourceRow(
        id=row_id,
        workspace_id=tx.workspace_id,
        connection_id=connection_id,
        name=name,
        mapping=dict(mapping),
        secret_sealed=_sealed(tx, row_id, secret),
        created_at=tx.now,
        updated_at=tx.now,
    )
    tx.session.add(row)
    try:
        tx.session.flush()
    except IntegrityError:
        raise _taken(name) from None
    token = _new_address(tx, row_id)
    audit.write(tx, actor, "source.add", _TABLE, row_id, after={"name": name, "connection": connection_id, "signed": secret is not None})
    return _value(row), token


def get(tx: Transaction, name_or_id: str) -> InboundSource:
    """The source with this name or id."""
    return _value(_row(tx, name_or_id))


def every(tx: Transaction, *, connection_id: str | None = None) -> list[InboundSource]:
    """All sources, by name."""
    query = sa.select(InboundSourceRow).order_by(col(InboundSourceRow.name))
    if connection_id is not None:
        query = query.where(col(InboundSourceRow.connection_id) == connection_id)
    return [_value(row) for row in tx.session.execute(query).scalars()]


def addresses(tx: Transaction, source_id: str) -> list[InboundAddress]:
    """How the addresses of a source begin, the newest first."""
    query = sa.select(InboundAddressRow).where(col(InboundAddressRow.source_id) == source_id)
    rows = tx.session.execute(query.order_by(col(InboundAddressRow.created_at).desc(), col(InboundAddressRow.digest))).scalars()
    return [InboundAddress(shown=row.shown, created_at=row.created_at, ends_at=row.ends_at) for row in rows]


def rotate(tx: Transaction, name_or_id: str, *, grace: timedelta, actor: str) -> tuple[InboundSource, str]:
    """A new address; those before it are answered for the time of grace, and then are gone."""
    row = _row(tx, name_or_id)
    former = sa.update(InboundAddressRow).where(
        col(InboundAddressRow.source_id) == row.id,
        sa.or_(col(InboundAddressRow.ends_at).is_(None), col(InboundAddressRow.ends_at) > tx.now + grace),
    )
    tx.count(former.values(ends_at=tx.now + grace))
    token = _new_address(tx, row.id)
    audit.write(tx, actor, "source.rotate", _TABLE, row.id, after={"grace_s": grace.total_seconds()})
    return get(tx, row.id), token


def switch(tx: Transaction, name_or_id: str, status: SourceStatus, *, actor: str) -> InboundSource:
    """Try it out, let it make signals, or take nothing. What was found wrong is found anew."""
    row = _row(tx, name_or_id)
    audit.write(tx, actor, "source.switch", _TABLE, row.id, before={"status": row.status}, after={"status": status})
    row.status, row.updated_at, row.problem, row.problem_since, row.listened_at = status, tx.now, None, None, None
    return _value(row)


def remap(tx: Transaction, name_or_id: str, mapping: Mapping[str, str], *, actor: str) -> InboundSource:
    """Other paths, for events from now on."""
    row = _row(tx, name_or_id)
    audit.write(tx, actor, "source.map", _TABLE, row.id, before={"mapping": row.mapping}, after={"mapping": dict(mapping)})
    row.mapping, row.updated_at = dict(mapping), tx.now
    return _value(row)


def sign(tx: Transaction, name_or_id: str, secret: str | None, *, actor: str) -> InboundSource:
    """From now on only what is signed with this secret comes in; `None` asks for no signature."""
    row = _row(tx, name_or_id)
    audit.write(tx, actor, "source.sign", _TABLE, row.id, before={"signed": row.secret_sealed is not None}, after={"signed": secret is not None})
    row.secret_sealed, row.updated_at = _sealed(tx, row.id, secret), tx.now
    return _value(row)


def remove(tx: Transaction, name_or_id: str, *, actor: str) -> InboundSource:
    """Remove a source with its addresses and its event log. Signals that its events led to stay."""
    row = _row(tx, name_or_id)
    value = _value(row)
    for mine in (InboundEventRow, InboundHourRow, InboundAddressRow):
        tx.count(sa.delete(mine).where(col(mine.source_id) == value.id))
    tx.count(sa.delete(InboundSourceRow).where(col(InboundSourceRow.id) == value.id))
    audit.write(tx, actor, "source.remove", _TABLE, value.id, before={"name": value.name})
    return value


def listened(tx: Transaction, source_id: str, problem: str | None) -> None:
    """Write down what looking into a silence has shown."""
    row = _row(tx, source_id)
    row.problem_since = None if problem is None else row.problem_since or tx.now
    row.problem, row.listened_at = problem, tx.now


def take(tx: Transaction, source_id: str, by: str, until: datetime) -> bool:
    """Reserve the events of a source for one worker, or go on holding them; `False` while another has them."""
    free = sa.or_(col(InboundSourceRow.taken_until).is_(None), col(InboundSourceRow.taken_until) < tx.now, col(InboundSourceRow.taken_by) == by)
    mine = sa.update(InboundSourceRow).where(col(InboundSourceRow.id) == source_id, free)
    return tx.count(mine.values(taken_until=until, taken_by=by)) == 1


def leave(tx: Transaction, source_id: str, by: str) -> None:
    """Give a source back."""
    mine = sa.update(InboundSourceRow).where(col(InboundSourceRow.id) == source_id, col(InboundSourceRow.taken_by) == by)
    tx.count(mine.values(taken_until=None, taken_by=None))


def digest_of(token: str) -> str:
    """What is kept of a token."""
    return hashlib.sha256(token.encode()).hexdigest()


def listener(store: Store, token: str) -> Listener | None:
    """The source that an address belongs to; `None` for one that nothing has. An ended one is told by `ends_at`."""
    digest = digest_of(token)
    with store.everywhere(secret=digest) as session:
        found = session.execute(sa.select(InboundAddressRow).where(col(InboundAddressRow.digest) == digest)).scalars().first()
    if found is None or not secrets.compare_digest(found.digest, digest):
        return None
    with store.of(found.workspace_id).reading() as tx:
        row = tx.session.get(InboundSourceRow, found.source_id)
        if row is None:
            return None
        value = _value(row)
        secret = None if row.secret_sealed is None else tx.sealer.open(row.secret_sealed, tx.place(_TABLE, row.id, _SECRET))
    return Listener(found.workspace_id, row.id, row.connection_id, value.status, value.mapping, secret, found.ends_at)


def _new_address(tx: Transaction, source_id: str) -> str:
    token = secrets.token_urlsafe(32)
    values = {"digest": digest_of(token), "workspace_id": tx.workspace_id, "source_id": source_id, "shown": token[:SHOWN], "created_at": tx.now}
    tx.session.add(InboundAddressRow(**values))
    tx.session.flush()
    return token


def _sealed(tx: Transaction, row_id: str, secret: str | None) -> str | None:
    return None if secret is None else tx.sealer.seal(secret, tx.place(_TABLE, row_id, _SECRET))


def _row(tx: Transaction, name_or_id: str) -> InboundSourceRow:
    wanted = sa.or_(col(InboundSourceRow.id) == name_or_id, col(InboundSourceRow.name) == name_or_id)
    row = tx.session.execute(sa.select(InboundSourceRow).where(wanted)).scalars().first()
    if row is None:
        raise NotFound(f"There is no source called {name_or_id}.")
    return row


def _taken(name: str) -> Conflict:
    return Conflict(f"There is already a source called {name}.", code="conflict.name_taken", fix="Choose another name, or change that source.")


def _value(row: InboundSourceRow) -> InboundSource:
    hidden = {"workspace_id", _SECRET, "taken_until", "taken_by"}
    return InboundSource(**row.model_dump(exclude=hidden), signed=row.secret_sealed is not None)
