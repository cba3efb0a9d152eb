"""What the API sends of people, keys, the bar and the audit log."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from beton.roles import Caller, Permission, Role
from beton.store.records import AccessLink, ApiKey, AuditEntry, Member
from beton.web.api.resources import Listing, Sent


class CallerRead(Sent):
    """Who is asking, and what they may do."""

    id: str = Field(description="The member's or the key's.")
    name: str
    email: str | None
    role: Role | None = Field(description="Null for a key.")
    via: Literal["session", "key"]
    workspace_id: str
    permissions: list[Permission]

    @classmethod
    def of(cls, one: Caller) -> CallerRead:
        shown = {name: getattr(one, name) for name in ("id", "name", "email", "role", "via", "workspace_id")}
        return cls(**shown, permissions=sorted(one.permissions))


class MemberRead(Sent):
    """A person in the workspace."""

    member_id: str
    email: str
    name: str
    role: Role
    created_at: datetime
    signed_in_at: datetime | None

    @classmethod
    def of(cls, one: Member) -> MemberRead:
        return cls(member_id=one.id, **one.model_dump(exclude={"id", "account_id"}))


class MemberPage(Listing):
    data: list[MemberRead]


class InvitationRead(Sent):
    """An invitation. Its link works once, and is shown this once."""

    email: str
    role: Role | None
    link: str
    expires_at: datetime

    @classmethod
    def of(cls, one: AccessLink, link: str) -> InvitationRead:
        return cls(email=one.email, role=one.role, link=link, expires_at=one.expires_at)


class KeyRead(Sent):
    """A key that lets a program in. `prefix` is all that is shown of it."""

    key_id: str
    name: str
    prefix: str
    scopes: list[Permission]
    created_by: str
    created_at: datetime
    last_used_at: datetime | None
    revoked_at: datetime | None

    @classmethod
    def of(cls, one: ApiKey) -> KeyRead:
        return cls(key_id=one.id, **one.model_dump(exclude={"id"}))


class NewKeyRead(KeyRead):
    """A key that has just been made, and its text, which is shown this once."""

    key: str

    @classmethod
    def with_text(cls, one: ApiKey, text: str) -> NewKeyRead:
        return cls(key_id=one.id, key=text, **one.model_dump(exclude={"id"}))


class KeyPage(Listing):
    data: list[KeyRead]


class BarRead(Sent):
    """What a result must clear before approval needs no reason."""

    max_q: float
    min_lift_low: float
    min_fires: int
    min_true_positives: int
    min_recall: float
    min_precision: float | None
    chosen: list[str] = Field(description="What the workspace has chosen itself; the rest is the installation's.")


class AuditRead(Sent):
    """One entry of the audit log. `chain` is the SHA-256 over the chain before it and this entry."""

    number: int
    at: datetime
    actor: str
    action: str
    object_type: str
    object_id: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    chain: str

    @classmethod
    def of(cls, one: AuditEntry) -> AuditRead:
        return cls(**one.model_dump(exclude={"id"}))


class AuditPage(Listing):
    data: list[AuditRead]


class AuditChecked(Sent):
    """Whether the chain of the audit log holds together, and its newest value, which is worth keeping elsewhere."""

    holds: bool
    entries: int
    head: str
    broken_at: int | None


ACCESS_SENT = (CallerRead, MemberRead, MemberPage, InvitationRead, KeyRead, NewKeyRead, KeyPage, BarRead, AuditPage, AuditChecked)
"""All of these."""
