"""The tables of access: who people are, what they may do in which workspace, and by what they come in."""

from datetime import datetime

import sqlalchemy as sa
from sqlmodel import Field

from beton.roles import Role
from beton.store.columns import Instant, Owned, Row, belongs_to, document, maybe_moment, moment, one_of


class AccountRow(Row, table=True):
    """A person. What they may do stands with their membership; an account alone opens nothing."""

    __tablename__ = "account"
    __table_args__ = (sa.UniqueConstraint("issuer", "subject"),)
    id: str = Field(primary_key=True)
    email: str = Field(unique=True)
    name: str
    password_hash: str | None = None
    issuer: str | None = None
    subject: str | None = None
    created_at: datetime = moment()


class MemberRow(Owned, Row, table=True):
    __tablename__ = "member"
    __table_args__ = (sa.UniqueConstraint("workspace_id", "account_id"), one_of("role", *Role))
    id: str = Field(primary_key=True)
    workspace_id: str = belongs_to("workspace", index=False)
    account_id: str = belongs_to("account")
    role: str
    created_at: datetime = moment()
    signed_in_at: datetime | None = maybe_moment()


class AccessLinkRow(Owned, Row, table=True):
    """Invitations, resets and one-time sign-ins: of the token in the address, the hash."""

    __tablename__ = "access_link"
    __table_args__ = (one_of("purpose", "invite", "reset", "sign_in"),)
    digest: str = Field(primary_key=True)
    workspace_id: str = belongs_to("workspace")
    purpose: str
    email: str
    role: str | None = None
    created_at: datetime = moment()
    expires_at: datetime = moment()
    used_at: datetime | None = maybe_moment()


class SessionRow(Owned, Row, table=True):
    """Of the token in the cookie, the hash."""

    __tablename__ = "session"
    digest: str = Field(primary_key=True)
    workspace_id: str = belongs_to("workspace", index=False)
    member_id: str = belongs_to("member")
    created_at: datetime = moment()
    seen_at: datetime = moment()
    expires_at: datetime = moment()


class ApiKeyRow(Owned, Row, table=True):
    __tablename__ = "api_key"
    id: str = Field(primary_key=True)
    workspace_id: str = belongs_to("workspace")
    name: str
    prefix: str
    digest: str = Field(unique=True)
    scopes: list[str] = document()
    created_by: str
    created_at: datetime = moment()
    last_used_at: datetime | None = maybe_moment()
    revoked_at: datetime | None = maybe_moment()


class KeptAnswerRow(Owned, Row, table=True):
    """What a caller was told under an Idempotency-Key, to be told again: sealed, since it may hold a secret that is shown once."""

    __tablename__ = "kept_answer"
    __table_args__ = (sa.UniqueConstraint("caller_id", "key"),)
    id: str = Field(primary_key=True)
    caller_id: str
    key: str
    workspace_id: str = belongs_to("workspace", index=False)
    asked: str
    status: int | None = None
    headers: dict[str, str] = document()
    answer_sealed: str | None = None
    created_at: datetime = Field(sa_type=Instant, index=True)
