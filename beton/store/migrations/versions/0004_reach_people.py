"""Tables of what keeps signals apart from people who should not get them, and of the ways to people."""

from alembic import op

from beton.store.migrations.walls import wall_in

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


TABLES: tuple[str, ...] = ()


def upgrade() -> None:
    wall_in(TABLES)


def downgrade() -> None:
    for table in reversed(TABLES):
        op.drop_table(table)
