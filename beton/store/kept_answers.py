"""Answers that are given again when a request is sent again under the same Idempotency-Key, for a day."""

from dataclasses import dataclass
from datetime import timedelta

import sqlalchemy as sa
from sqlmodel import col

from beton.errors import BadInput, Conflict, Fault
from beton.store.columns import new_id
from beton.store.people_tables import KeptAnswerRow
from beton.store.sealing import UnknownKey
from beton.store.store import Transaction

KEPT = timedelta(hours=24)
GIVEN_UP = timedelta(minutes=5)
"""After this a request under way is taken for dead: its server was stopped."""

_TABLE, _SEALED = "kept_answer", "answer_sealed"


@dataclass(frozen=True)
class Answer:
    """What was answered."""

    status: int
    headers: dict[str, str]
    body: str


def begin(tx: Transaction, caller_id: str, key: str, asked: str) -> Answer | None:
    """The answer that was given, or `None` for a new request, which is to be ended by `keep` or `forget`.

    `asked` is a digest of the whole request. Raises `BadInput` where the key was used for another one, `Conflict` while the first is under way.
    """
    mine = (col(KeptAnswerRow.caller_id) == caller_id, col(KeptAnswerRow.key) == key)
    dead = sa.and_(col(KeptAnswerRow.status).is_(None), col(KeptAnswerRow.created_at) <= tx.now - GIVEN_UP)
    tx.session.execute(sa.delete(KeptAnswerRow).where(*mine, sa.or_(dead, col(KeptAnswerRow.created_at) <= tx.now - KEPT)))
    fresh = {"id": new_id("ans"), "caller_id": caller_id, "key": key, "workspace_id": tx.workspace_id, "asked": asked, "headers": {}}
    if tx.insert_new(KeptAnswerRow, [fresh | {"created_at": tx.now}]):
        return None
    row = tx.session.execute(sa.select(KeptAnswerRow).where(*mine)).scalars().one()
    if row.asked != asked:
        fault = Fault("Idempotency-Key", "was used for another request")
        raise BadInput("This Idempotency-Key was used for another request.", [fault], code="input.idempotency_key", fix="Use a new one.")
    if row.status is None or row.answer_sealed is None:
        raise Conflict("The first request with this Idempotency-Key is still under way.", code="conflict.in_flight", fix="Ask again in a second.")
    try:
        body = tx.sealer.open(row.answer_sealed, tx.place(_TABLE, row.id, _SEALED))
    except UnknownKey:
        raise Conflict("The answer to this request cannot be read any more.", code="conflict.in_flight", fix="Look whether it was done.") from None
    return Answer(row.status, row.headers, body)


def keep(tx: Transaction, caller_id: str, key: str, answer: Answer) -> None:
    """The request was answered."""
    query = sa.select(KeptAnswerRow).where(col(KeptAnswerRow.caller_id) == caller_id, col(KeptAnswerRow.key) == key)
    row = tx.session.execute(query).scalars().first()
    if row is not None:
        row.status, row.headers = answer.status, answer.headers
        row.answer_sealed = tx.sealer.seal(answer.body, tx.place(_TABLE, row.id, _SEALED))


def forget(tx: Transaction, caller_id: str, key: str) -> None:
    """The request came to nothing, and may be sent again."""
    mine = (col(KeptAnswerRow.caller_id) == caller_id, col(KeptAnswerRow.key) == key, col(KeptAnswerRow.status).is_(None))
    tx.session.execute(sa.delete(KeptAnswerRow).where(*mine))


def drop_old(tx: Transaction) -> int:
    """Forget what was answered more than a day ago; how many answers."""
    return tx.count(sa.delete(KeptAnswerRow).where(col(KeptAnswerRow.created_at) <= tx.now - KEPT))
