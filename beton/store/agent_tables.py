"""The tables of searches: the question of a connection, what people know about their business, how proposals came about, and what that cost."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlmodel import Field

from beton.store.columns import Owned, Row, belongs_to, document, maybe_document, moment


class QuestionRow(Owned, Row, table=True):
    """What is searched for in a connection, as a person has confirmed it."""

    __tablename__ = "question"
    connection_id: str = belongs_to("connection", key=True)
    workspace_id: str = belongs_to("workspace", index=False)
    definition: dict[str, Any] = document()
    window_days: float
    share_values: bool = False
    confirmed_by: str
    confirmed_at: datetime = moment()


class FactRow(Owned, Row, table=True):
    """A sentence that a person wrote about their business."""

    __tablename__ = "fact"
    id: str = Field(primary_key=True)
    workspace_id: str = belongs_to("workspace", index=False)
    connection_id: str = belongs_to("connection")
    text: str
    written_by: str
    created_at: datetime = moment()


class SearchRecordRow(Owned, Row, table=True):
    """How the proposals of a run came about. Written once."""

    __tablename__ = "search_record"
    run_id: str = belongs_to("run", key=True)
    workspace_id: str = belongs_to("workspace", index=False)
    connection_id: str = belongs_to("connection")
    content: dict[str, Any] = document()
    created_at: datetime = moment()


class ConfirmationRow(Owned, Row, table=True):
    """A look at the confirming part of a log: which definition, in which interval of time. Written once, never forgotten."""

    __tablename__ = "confirmation"
    run_id: str = belongs_to("run", key=True)
    fingerprint: str = Field(primary_key=True)
    workspace_id: str = belongs_to("workspace", index=False)
    connection_id: str = belongs_to("connection")
    hypothesis_id: str = Field(foreign_key="hypothesis.id", index=True)
    hypothesis_version: int
    confirmed_from: datetime = moment()
    confirmed_until: datetime = moment()
    counted: bool
    withheld: dict[str, Any] | None = maybe_document()
    created_at: datetime = moment()


class ModelSpendRow(Owned, Row, table=True):
    """What the model of one run has cost so far."""

    __tablename__ = "model_spend"
    __table_args__ = (sa.Index(None, "workspace_id", "day"),)
    run_id: str = belongs_to("run", key=True)
    workspace_id: str = belongs_to("workspace", index=False)
    day: str
    calls: int = 0
    tokens: int = Field(default=0, sa_type=sa.BigInteger)
    money: float = 0.0
    updated_at: datetime = moment()
