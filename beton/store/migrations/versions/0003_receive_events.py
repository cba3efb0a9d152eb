"""Tables of events that PostHog sends us."""

import sqlalchemy as sa
from alembic import op

from beton.store.migrations.walls import BY_SECRET, let_see, wall_in

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


TABLES = ("inbound_source", "inbound_address", "inbound_event", "inbound_hour")


def upgrade() -> None:
    _inbound_source()
    _inbound_address()
    _inbound_event()
    _inbound_hour()
    wall_in(TABLES)
    let_see("inbound_address", BY_SECRET, "secret")


def downgrade() -> None:
    for table in reversed(TABLES):
        op.drop_table(table)


def _inbound_source() -> None:
    op.create_table(
        "inbound_source",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("workspace_id", sa.String(), nullable=False),
        sa.Column("connection_id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("mapping", sa.JSON(), nullable=False),
        sa.Column("secret_sealed", sa.String(), nullable=True),
        sa.Column("problem", sa.String(), nullable=True),
        sa.Column("problem_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("listened_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("taken_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("taken_by", sa.String(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("status IN ('testing', 'active', 'off')", name=op.f("ck_inbound_source_status_known")),
        sa.ForeignKeyConstraint(["connection_id"], ["connection.id"], name=op.f("fk_inbound_source_connection_id_connection")),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspace.id"], name=op.f("fk_inbound_source_workspace_id_workspace")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_inbound_source")),
        sa.UniqueConstraint("workspace_id", "name", name=op.f("uq_inbound_source_workspace_id_name")),
    )
    op.create_index(op.f("ix_inbound_source_connection_id"), "inbound_source", ["connection_id"])


def _inbound_address() -> None:
    op.create_table(
        "inbound_address",
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("workspace_id", sa.String(), nullable=False),
        sa.Column("source_id", sa.String(), nullable=False),
        sa.Column("shown", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["source_id"], ["inbound_source.id"], name=op.f("fk_inbound_address_source_id_inbound_source")),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspace.id"], name=op.f("fk_inbound_address_workspace_id_workspace")),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_inbound_address")),
    )
    op.create_index(op.f("ix_inbound_address_source_id"), "inbound_address", ["source_id"])


def _inbound_event() -> None:
    op.create_table(
        "inbound_event",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("workspace_id", sa.String(), nullable=False),
        sa.Column("source_id", sa.String(), nullable=False),
        sa.Column("connection_id", sa.String(), nullable=False),
        sa.Column("event_uuid", sa.String(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("why_code", sa.String(), nullable=True),
        sa.Column("why", sa.String(), nullable=True),
        sa.Column("name", sa.String(), nullable=True),
        sa.Column("happened_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("unit_keys", sa.String(), nullable=False),
        sa.Column("signal_ids", sa.JSON(), nullable=False),
        sa.Column("payload_sealed", sa.String(), nullable=True),
        sa.CheckConstraint("status IN ('arrived', 'mapped', 'matched', 'fired', 'ignored', 'failed')", name=op.f("ck_inbound_event_status_known")),
        sa.ForeignKeyConstraint(["connection_id"], ["connection.id"], name=op.f("fk_inbound_event_connection_id_connection")),
        sa.ForeignKeyConstraint(["source_id"], ["inbound_source.id"], name=op.f("fk_inbound_event_source_id_inbound_source")),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspace.id"], name=op.f("fk_inbound_event_workspace_id_workspace")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_inbound_event")),
    )
    op.create_index(op.f("ix_inbound_event_source_id_received_at_id"), "inbound_event", ["source_id", "received_at", "id"])
    op.create_index(op.f("ix_inbound_event_source_id_status_received_at_id"), "inbound_event", ["source_id", "status", "received_at", "id"])


def _inbound_hour() -> None:
    op.create_table(
        "inbound_hour",
        sa.Column("source_id", sa.String(), nullable=False),
        sa.Column("hour", sa.DateTime(timezone=True), nullable=False),
        sa.Column("workspace_id", sa.String(), nullable=False),
        sa.Column("arrived", sa.Integer(), nullable=False),
        sa.Column("repeated", sa.Integer(), nullable=False),
        sa.Column("refused", sa.Integer(), nullable=False),
        sa.Column("refusal", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(["source_id"], ["inbound_source.id"], name=op.f("fk_inbound_hour_source_id_inbound_source")),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspace.id"], name=op.f("fk_inbound_hour_workspace_id_workspace")),
        sa.PrimaryKeyConstraint("source_id", "hour", name=op.f("pk_inbound_hour")),
    )
