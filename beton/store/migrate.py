"""Bringing a database to the present schema, from the migrations inside the package."""

from collections.abc import Generator
from contextlib import contextmanager

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from beton.errors import StoreError
from beton.store.engines import reached, writing
from beton.store.expectations import expect

LOCK = 0x6265746F6E  # "beton": any number, the same in every process


def configuration(connection: sa.Connection | None = None) -> Config:
    """Alembic's configuration without a file; migrations run on the given connection."""
    config = Config()
    config.set_main_option("script_location", "beton:store/migrations")
    config.attributes["connection"] = connection
    return config


def migrate(engine: sa.Engine, revision: str = "head") -> None:
    """Upgrade to the newest schema. Safe to call from every process that starts: one migrates, the others wait and find it done."""
    with _alone(engine) as connection:
        command.upgrade(configuration(connection), revision)
        if connection.dialect.name == "sqlite":
            expect(connection)


def downgrade(engine: sa.Engine, revision: str) -> None:
    """Go back to a revision (or to `base`, which drops everything)."""
    with _alone(engine) as connection:
        command.downgrade(configuration(connection), revision)


def check(engine: sa.Engine) -> None:
    """Refuse a database whose tables differ from the models; for tests and for `doctor`."""
    with reached(), engine.connect() as connection:
        command.check(configuration(connection))


def revisions(engine: sa.Engine) -> tuple[str | None, str | None]:
    """The schema the database has and the one this version wants: equal when ready."""
    with reached(), engine.connect() as connection:
        present = MigrationContext.configure(connection).get_current_revision()
    return present, newest()


def newest() -> str | None:
    """The schema that this version wants."""
    return ScriptDirectory.from_config(configuration()).get_current_head()


def require_current(engine: sa.Engine) -> None:
    """`StoreError` when the database is behind, ahead of, or foreign to this version."""
    present, wanted = revisions(engine)
    if present != wanted:
        raise StoreError(
            f"The database has schema {present or 'none'}, this version wants {wanted}.",
            code="store.schema_differs",
            fix="Run: beton migrate",
        )


@contextmanager
def _alone(engine: sa.Engine) -> Generator[sa.Connection]:
    """One connection in one transaction, and nobody else migrating: SQLite by its write lock, PostgreSQL by an advisory one."""
    with reached(), writing(engine).begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(sa.text("SELECT pg_advisory_xact_lock(:key)"), {"key": LOCK})
        yield connection
