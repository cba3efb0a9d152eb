"""Tables of what keeps signals apart from people who should not get them, and of the ways to people."""

import sqlalchemy as sa
from alembic import op

from beton.store.migrations.walls import wall_in

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


TABLES = ("signal_account", "suppression", "snooze", "send_limit")


def upgrade() -> None:
    _signal_account()
    _suppression()
    _snooze()
    _send_limit()
    wall_in(TABLES)


def downgrade() -> None:
    for table in reversed(TABLES):
        op.drop_table(table)


def _signal_account() -> None:
    op.create_table(
        "signal_account",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("workspace_id", sa.String(), nullable=False),
        sa.Column("account_sealed", sa.String(), nullable=False),
        sa.Column("account_key", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["id"], ["signal.id"], name=op.f("fk_signal_account_id_signal")),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspace.id"], name=op.f("fk_signal_account_workspace_id_workspace")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_signal_account")),
    )
    op.create_index(op.f("ix_signal_account_workspace_id_account_key"), "signal_account", ["workspace_id", "account_key"])


def _suppression() -> None:
    op.create_table(
        "suppression",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("workspace_id", sa.String(), nullable=False),
        sa.Column("list", sa.String(), nullable=False),
        sa.Column("named", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("label_sealed", sa.String(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("list IN ('customers', 'open_opportunities', 'internal', 'competitors')", name=op.f("ck_suppression_list_known")),
        sa.CheckConstraint("named IN ('id', 'domain', 'email')", name=op.f("ck_suppression_named_known")),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspace.id"], name=op.f("fk_suppression_workspace_id_workspace")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_suppression")),
        sa.UniqueConstraint("workspace_id", "list", "key", name=op.f("uq_suppression_workspace_id_list_key")),
    )
    op.create_index(op.f("ix_suppression_workspace_id_key"), "suppression", ["workspace_id", "key"])
    op.create_index(op.f("ix_suppression_workspace_id_created_at_id"), "suppression", ["workspace_id", "created_at", "id"])


def _snooze() -> None:
    op.create_table(
        "snooze",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("workspace_id", sa.String(), nullable=False),
        sa.Column("named", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("label_sealed", sa.String(), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reason", sa.String()),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("named IN ('id', 'domain', 'email')", name=op.f("ck_snooze_named_known")),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspace.id"], name=op.f("fk_snooze_workspace_id_workspace")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_snooze")),
        sa.UniqueConstraint("workspace_id", "key", name=op.f("uq_snooze_workspace_id_key")),
    )


def _send_limit() -> None:
    op.create_table(
        "send_limit",
        sa.Column("workspace_id", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("free_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspace.id"], name=op.f("fk_send_limit_workspace_id_workspace")),
        sa.PrimaryKeyConstraint("workspace_id", "key", name=op.f("pk_send_limit")),
    )
