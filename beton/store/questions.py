"""The question of a connection (whose behaviour, from which event on, towards which outcome), as a person has confirmed it, and facts about it."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlmodel import col

from beton.errors import BadInput, NotFound
from beton.signals import Value
from beton.store import audit
from beton.store.agent_tables import FactRow, QuestionRow
from beton.store.columns import new_id
from beton.store.store import Transaction

LONGEST_FACT = 500
MOST_FACTS = 100


class ConfirmedQuestion(Value):
    """`definition` holds unit, entry and outcome in the language's JSON form; `share_values`: the model may see values of event properties."""

    connection_id: str
    definition: dict[str, Any]
    window_days: float
    share_values: bool
    confirmed_by: str
    confirmed_at: datetime


class Fact(Value):
    """One sentence about the business, which a model is told and may cite."""

    id: str
    connection_id: str
    text: str
    written_by: str
    created_at: datetime


def confirm(
    tx: Transaction, connection_id: str, definition: dict[str, Any], *, window_days: float, actor: str, share_values: bool | None = None
) -> ConfirmedQuestion:
    """Keep the question in place of the former one. Without `share_values` a consent that was given before stays."""
    row = tx.session.get(QuestionRow, connection_id)
    before = None if row is None else {"definition": row.definition, "window_days": row.window_days, "share_values": row.share_values}
    consent = (row is not None and row.share_values) if share_values is None else share_values
    values = {"definition": definition, "window_days": window_days, "share_values": consent}
    if row is None:
        row = QuestionRow(connection_id=connection_id, workspace_id=tx.workspace_id, confirmed_by=actor, confirmed_at=tx.now, **values)
        tx.session.add(row)
    else:
        row.definition, row.window_days, row.share_values, row.confirmed_by, row.confirmed_at = definition, window_days, consent, actor, tx.now
    audit.write(tx, actor, "question.confirm", "connection", connection_id, before=before, after=values)
    tx.session.flush()
    return _question(row)


def confirmed(tx: Transaction, connection_id: str) -> ConfirmedQuestion | None:
    """The question of a connection; None until a person has confirmed one."""
    row = tx.session.get(QuestionRow, connection_id)
    return None if row is None else _question(row)


def share_values(tx: Transaction, connection_id: str, *, allowed: bool, actor: str) -> ConfirmedQuestion:
    """Give or take back the consent that a model may see values of event properties."""
    row = tx.session.get(QuestionRow, connection_id)
    if row is None:
        raise NotFound("This connection has no confirmed question yet.", code="question.missing", fix="Confirm one first.")
    audit.write(
        tx, actor, "question.share_values", "connection", connection_id, before={"share_values": row.share_values}, after={"share_values": allowed}
    )
    row.share_values = allowed
    tx.session.flush()
    return _question(row)


def add_fact(tx: Transaction, connection_id: str, text: str, *, actor: str) -> Fact:
    """Write a fact down."""
    plain = _sentence(text)
    if len(facts(tx, connection_id)) >= MOST_FACTS:
        raise BadInput(f"There are {MOST_FACTS} facts already.", code="fact.too_many", fix="Remove one that matters less.")
    row = FactRow(id=new_id("fct"), workspace_id=tx.workspace_id, connection_id=connection_id, text=plain, written_by=actor, created_at=tx.now)
    tx.session.add(row)
    audit.write(tx, actor, "fact.add", "fact", row.id, after={"text": plain})
    tx.session.flush()
    return _fact(row)


def change_fact(tx: Transaction, fact_id: str, text: str, *, actor: str) -> Fact:
    """Write a fact in other words."""
    row = _fact_row(tx, fact_id)
    plain = _sentence(text)
    if plain != row.text:
        audit.write(tx, actor, "fact.change", "fact", fact_id, before={"text": row.text}, after={"text": plain})
        row.text, row.written_by = plain, actor
        tx.session.flush()
    return _fact(row)


def facts(tx: Transaction, connection_id: str) -> list[Fact]:
    """The facts of a connection, oldest first."""
    query = sa.select(FactRow).where(col(FactRow.connection_id) == connection_id)
    return [_fact(row) for row in tx.session.execute(query.order_by(col(FactRow.created_at), col(FactRow.id))).scalars()]


def remove_fact(tx: Transaction, fact_id: str, *, actor: str) -> Fact:
    """Forget a fact; that it was there stays in the audit log."""
    row = _fact_row(tx, fact_id)
    kept = _fact(row)
    tx.session.delete(row)
    audit.write(tx, actor, "fact.remove", "fact", fact_id, before={"text": kept.text})
    return kept


def _sentence(text: str) -> str:
    plain = " ".join(text.split())
    if not plain or len(plain) > LONGEST_FACT:
        raise BadInput(f"A fact is a sentence of at most {LONGEST_FACT} characters.", code="fact.length")
    return plain


def _fact_row(tx: Transaction, fact_id: str) -> FactRow:
    row = tx.session.get(FactRow, fact_id)
    if row is None:
        raise NotFound(f"There is no fact {fact_id}.", fix="List them with: beton facts list")
    return row


def _question(row: QuestionRow) -> ConfirmedQuestion:
    return ConfirmedQuestion.model_validate(row.model_dump(exclude={"workspace_id"}))


def _fact(row: FactRow) -> Fact:
    return Fact.model_validate(row.model_dump(exclude={"workspace_id"}))
