"""Alembic's entry: runs migrations on the connection that `beton.store.migrate` hands over."""

from typing import Any, Literal

import sqlalchemy as sa
from alembic import context

from beton.store import (  # noqa: F401 - fill the metadata
    agent_tables,
    delivery_tables,
    inbound_tables,
    people_tables,
    proof_tables,
    reach_tables,
    tables,
)
from beton.store.columns import Row


def _is_ours(name: str | None, kind: str, parents: Any) -> bool:  # noqa: ARG001 - Alembic's signature
    """Whatever else lives in the database (the job engine's tables, say) is not ours to compare."""
    return kind != "table" or name in Row.metadata.tables


def _render(kind: str, value: Any, autogen: Any) -> str | Literal[False]:  # noqa: ARG001 - Alembic's signature
    """New migrations name plain SQLAlchemy types, so that they outlive changes of our own."""
    if kind == "type" and isinstance(value, sa.types.TypeDecorator):
        return f"sa.{value.impl!r}"
    return False


connection: sa.Connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=Row.metadata,
    include_name=_is_ours,
    render_item=_render,
    render_as_batch=connection.dialect.name == "sqlite",
    compare_type=True,
)
with context.begin_transaction():
    context.run_migrations()
