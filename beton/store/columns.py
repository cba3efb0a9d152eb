"""The column types and keys that all tables share."""

import base64
import hashlib
import secrets
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator
from sqlmodel import Field, SQLModel


class Instant(TypeDecorator[datetime]):
    """An aware UTC instant with microseconds. SQLite drops time zones and PostgreSQL answers in the session's; here UTC goes in and comes out."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("an instant needs a time zone")
        moment = value.astimezone(UTC)
        return moment.replace(tzinfo=None) if dialect.name == "sqlite" else moment

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if dialect.name == "sqlite" else value.astimezone(UTC)


EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def microseconds(at: datetime) -> int:
    """An instant as whole microseconds since 1970: exact, where `timestamp()` would round."""
    return (at - EPOCH) // timedelta(microseconds=1)


NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class Row(SQLModel):
    """Base of all tables: own metadata, so that nothing else that uses SQLModel in this process can leak into the schema."""

    metadata = sa.MetaData(naming_convention=NAMES)


def table_of(row_type: type[Row]) -> sa.Table:
    """The table itself, for statements that ask for columns and not for objects."""
    return row_type.metadata.tables[str(row_type.__tablename__)]


class Owned:
    """Marks the tables whose rows belong to a workspace: a transaction sees of them only those of its own (see `store`)."""


def new_id(prefix: str) -> str:
    """`prefix_` and 96 random bits in base32: unguessable, safe in addresses, and recognisable in a log."""
    return f"{prefix}_{base64.b32encode(secrets.token_bytes(12)).decode().rstrip('=').lower()}"


def content_id(prefix: str, *parts: str) -> str:
    """`prefix_` and 160 bits made of the content, not of chance: after a restore from a backup, the same thing gets the same id."""
    return f"{prefix}_" + base64.b32encode(hashlib.sha256("\0".join(parts).encode()).digest()[:20]).decode().lower()


def one_of(column: str, *values: str) -> sa.CheckConstraint:
    """A closed set of texts. Native enums would outlive a downgrade on PostgreSQL."""
    listed = ", ".join(f"'{value}'" for value in values)
    return sa.CheckConstraint(f"{column} IN ({listed})", name=f"{column}_known")


def belongs_to(target: str, *, index: bool = True, key: bool = False) -> Any:
    """A required reference to another row."""
    return Field(foreign_key=f"{target}.id", index=index and not key, primary_key=key)


def moment(*, key: bool = False) -> Any:
    """A required instant."""
    return Field(sa_type=Instant, primary_key=key)


def maybe_moment() -> Any:
    """An instant that may be missing."""
    return Field(default=None, sa_type=Instant, nullable=True)


def microsecond_moment(*, key: bool = False) -> Any:
    """A required instant as whole microseconds since 1970: where there are very many, objects would cost more than reading them."""
    return Field(sa_type=sa.BigInteger, primary_key=key, sa_column_kwargs={"autoincrement": False} if key else {})


def document() -> Any:
    """A required JSON value."""
    return Field(sa_type=sa.JSON)


def maybe_document() -> Any:
    """A JSON value that may be missing; missing is NULL, not the JSON text `null`."""
    return Field(default=None, sa_type=sa.JSON(none_as_null=True), nullable=True)
