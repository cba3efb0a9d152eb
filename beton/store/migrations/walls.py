"""Row-level security on PostgreSQL: the second wall between workspaces.

The first is the criterion that the store adds to every statement. The policies hold for roles that do not own the tables, such as the one that the
server should run as (see the guide on self-hosting). A transaction says who is asking by `SET LOCAL` (see `beton.store.store`): its workspace, and
before that is known, the digest of the secret or the account that was shown.
"""

from collections.abc import Iterable

from alembic import op

BY_SECRET = "digest"  # noqa: S105 - a column
"""The column by which a row is found before its workspace is known: whoever shows the secret may see it."""


def wall_in(tables: Iterable[str]) -> None:
    """Let rows be seen and written by their own workspace alone."""
    if op.get_bind().dialect.name == "postgresql":
        for table in tables:
            mine = "workspace_id = current_setting('beton.workspace', true)"
            op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
            op.execute(f"CREATE POLICY own_workspace ON {table} USING ({mine}) WITH CHECK ({mine})")


def let_see(table: str, column: str, shown: str) -> None:
    """Let rows be read by who has shown what stands in a column of them."""
    if op.get_bind().dialect.name == "postgresql":
        op.execute(f"CREATE POLICY shown_{shown} ON {table} FOR SELECT USING ({column} = current_setting('beton.{shown}', true))")
