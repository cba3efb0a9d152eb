"""Tables of what became of signals: outcomes, drift, holdouts."""

import sqlalchemy as sa
from alembic import op

from beton.store.migrations.walls import wall_in

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


TABLES = ("signal_outcome", "holdout", "holdout_unit", "drift_alarm", "broken_name")


def upgrade() -> None:
    _signal_outcome()
    _holdout()
    _holdout_unit()
    _drift_alarm()
    _broken_name()
    wall_in(TABLES)


def downgrade() -> None:
    for table in reversed(TABLES):
        op.drop_table(table)


def _signal_outcome() -> None:
    op.create_table(
        "signal_outcome",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("workspace_id", sa.String(), nullable=False),
        sa.Column("connection_id", sa.String(), nullable=False),
        sa.Column("hypothesis_id", sa.String(), nullable=False),
        sa.Column("hypothesis_version", sa.Integer(), nullable=False),
        sa.Column("fired_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("detected_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("matures_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("outcome_at", sa.DateTime(timezone=True)),
        sa.Column("known_until", sa.DateTime(timezone=True)),
        sa.Column("became", sa.String(), nullable=False),
        sa.Column("asking", sa.Boolean(), nullable=False),
        sa.CheckConstraint("became IN ('open', 'before', 'converted', 'not', 'lost')", name=op.f("ck_signal_outcome_became_known")),
        sa.ForeignKeyConstraint(["connection_id"], ["connection.id"], name=op.f("fk_signal_outcome_connection_id_connection")),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspace.id"], name=op.f("fk_signal_outcome_workspace_id_workspace")),
        sa.ForeignKeyConstraint(["id"], ["signal.id"], name=op.f("fk_signal_outcome_id_signal")),
        sa.ForeignKeyConstraint(["hypothesis_id"], ["hypothesis.id"], name=op.f("fk_signal_outcome_hypothesis_id_hypothesis")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_signal_outcome")),
    )
    op.create_index(op.f("ix_signal_outcome_connection_id_asking_known_until"), "signal_outcome", ["connection_id", "asking", "known_until"])
    op.create_index(op.f("ix_signal_outcome_hypothesis_id_detected_at"), "signal_outcome", ["hypothesis_id", "detected_at"])
    op.create_index(
        op.f("ix_signal_outcome_hypothesis_id_hypothesis_version_became"), "signal_outcome", ["hypothesis_id", "hypothesis_version", "became"]
    )


def _holdout() -> None:
    op.create_table(
        "holdout",
        sa.Column("hypothesis_id", sa.String(), nullable=False),
        sa.Column("workspace_id", sa.String(), nullable=False),
        sa.Column("share", sa.Float(), nullable=False),
        sa.Column("draw", sa.Integer(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.CheckConstraint("share >= 0 AND share <= 0.2", name=op.f("ck_holdout_share_is_small")),
        sa.ForeignKeyConstraint(["hypothesis_id"], ["hypothesis.id"], name=op.f("fk_holdout_hypothesis_id_hypothesis")),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspace.id"], name=op.f("fk_holdout_workspace_id_workspace")),
        sa.PrimaryKeyConstraint("hypothesis_id", name=op.f("pk_holdout")),
    )


def _holdout_unit() -> None:
    op.create_table(
        "holdout_unit",
        sa.Column("hypothesis_id", sa.String(), nullable=False),
        sa.Column("hypothesis_version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("drawn_key", sa.String(), nullable=False),
        sa.Column("workspace_id", sa.String(), nullable=False),
        sa.Column("signal_id", sa.String(), nullable=False),
        sa.Column("draw", sa.Integer(), nullable=False),
        sa.Column("held", sa.Boolean(), nullable=False),
        sa.Column("drawn_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspace.id"], name=op.f("fk_holdout_unit_workspace_id_workspace")),
        sa.ForeignKeyConstraint(["signal_id"], ["signal.id"], name=op.f("fk_holdout_unit_signal_id_signal")),
        sa.ForeignKeyConstraint(["hypothesis_id"], ["hypothesis.id"], name=op.f("fk_holdout_unit_hypothesis_id_hypothesis")),
        sa.PrimaryKeyConstraint("hypothesis_id", "hypothesis_version", "drawn_key", name=op.f("pk_holdout_unit")),
    )
    op.create_index(op.f("ix_holdout_unit_hypothesis_id_hypothesis_version_draw"), "holdout_unit", ["hypothesis_id", "hypothesis_version", "draw"])
    op.create_index(op.f("ix_holdout_unit_signal_id"), "holdout_unit", ["signal_id"])


def _drift_alarm() -> None:
    op.create_table(
        "drift_alarm",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("workspace_id", sa.String(), nullable=False),
        sa.Column("hypothesis_id", sa.String(), nullable=False),
        sa.Column("hypothesis_version", sa.Integer(), nullable=False),
        sa.Column("raised_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_fired_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("basis", sa.String(), nullable=False),
        sa.Column("floor", sa.Float(), nullable=False),
        sa.Column("fires", sa.Integer(), nullable=False),
        sa.Column("hits", sa.Integer(), nullable=False),
        sa.Column("log_e", sa.Float(), nullable=False),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("answer", sa.String()),
        sa.Column("answered_at", sa.DateTime(timezone=True)),
        sa.Column("answered_by", sa.String()),
        sa.Column("comment", sa.String()),
        sa.CheckConstraint("action IN ('alarm', 'pause', 'ask')", name=op.f("ck_drift_alarm_action_known")),
        sa.CheckConstraint("answer IN ('kept', 'paused', 'retired')", name=op.f("ck_drift_alarm_answer_known")),
        sa.CheckConstraint("basis IN ('holdout', 'all')", name=op.f("ck_drift_alarm_basis_known")),
        sa.ForeignKeyConstraint(["hypothesis_id"], ["hypothesis.id"], name=op.f("fk_drift_alarm_hypothesis_id_hypothesis")),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspace.id"], name=op.f("fk_drift_alarm_workspace_id_workspace")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_drift_alarm")),
    )
    op.create_index(
        op.f("ix_drift_alarm_hypothesis_id_hypothesis_version_raised_at"), "drift_alarm", ["hypothesis_id", "hypothesis_version", "raised_at"]
    )
    op.create_index(op.f("ix_drift_alarm_workspace_id_answered_at"), "drift_alarm", ["workspace_id", "answered_at"])


def _broken_name() -> None:
    op.create_table(
        "broken_name",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("workspace_id", sa.String(), nullable=False),
        sa.Column("hypothesis_id", sa.String(), nullable=False),
        sa.Column("hypothesis_version", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("event", sa.String()),
        sa.Column("property", sa.String()),
        sa.Column("was", sa.String()),
        sa.Column("became", sa.String()),
        sa.Column("instead", sa.String()),
        sa.Column("noticed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True)),
        sa.CheckConstraint(
            "kind IN ('event_gone', 'event_silent', 'property_gone', 'property_retyped', 'group_type_gone')", name=op.f("ck_broken_name_kind_known")
        ),
        sa.ForeignKeyConstraint(["hypothesis_id"], ["hypothesis.id"], name=op.f("fk_broken_name_hypothesis_id_hypothesis")),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspace.id"], name=op.f("fk_broken_name_workspace_id_workspace")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_broken_name")),
    )
    op.create_index(op.f("ix_broken_name_hypothesis_id_ended_at"), "broken_name", ["hypothesis_id", "ended_at"])
    op.create_index(op.f("ix_broken_name_workspace_id_ended_at"), "broken_name", ["workspace_id", "ended_at"])
