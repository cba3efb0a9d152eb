"""Tables of what became of signals: outcomes, drift, holdouts."""

from alembic import op

from beton.store.migrations.walls import wall_in

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


TABLES: tuple[str, ...] = ()


def upgrade() -> None:
    wall_in(TABLES)


def downgrade() -> None:
    for table in reversed(TABLES):
        op.drop_table(table)
