"""Tables of whom signals reach: accounts of signals, lists of those who get none, what is snoozed, and how fast may be sent.

Whom they name stands there twice: as a keyed hash, by which it is found, and sealed, as people wrote it.
"""

from datetime import datetime

import sqlalchemy as sa
from sqlmodel import Field

from beton.signals import LISTS
from beton.store.columns import Owned, Row, belongs_to, microsecond_moment, moment, one_of

NAMED = ("id", "domain", "email")
"""What a line of a list may name: a person or account by its id in PostHog, a company by its domain, or somebody by an e-mail address."""


class SignalAccountRow(Owned, Row, table=True):
    """The account of a signal; its id is the signal's."""

    __tablename__ = "signal_account"
    __table_args__ = (sa.Index(None, "workspace_id", "account_key"),)
    id: str = Field(primary_key=True, foreign_key="signal.id")
    workspace_id: str = belongs_to("workspace", index=False)
    account_sealed: str
    account_key: str


class SuppressionRow(Owned, Row, table=True):
    __tablename__ = "suppression"
    __table_args__ = (
        sa.UniqueConstraint("workspace_id", "list", "key"),
        sa.Index(None, "workspace_id", "key"),
        sa.Index(None, "workspace_id", "created_at", "id"),
        one_of("list", *LISTS),
        one_of("named", *NAMED),
    )
    id: str = Field(primary_key=True)
    workspace_id: str = belongs_to("workspace", index=False)
    list: str
    named: str
    key: str
    label_sealed: str
    actor: str
    created_at: datetime = moment()


class SnoozeRow(Owned, Row, table=True):
    __tablename__ = "snooze"
    __table_args__ = (sa.UniqueConstraint("workspace_id", "key"), one_of("named", *NAMED))
    id: str = Field(primary_key=True)
    workspace_id: str = belongs_to("workspace", index=False)
    named: str
    key: str
    label_sealed: str
    until: datetime = moment()
    reason: str | None = None
    actor: str
    created_at: datetime = moment()


class SendLimitRow(Owned, Row, table=True):
    """When the next request to a destination with a limit may leave, for all workers together."""

    __tablename__ = "send_limit"
    workspace_id: str = belongs_to("workspace", key=True)
    key: str = Field(primary_key=True)
    free_at: int = microsecond_moment()
