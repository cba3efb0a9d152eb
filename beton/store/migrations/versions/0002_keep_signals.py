"""Tables of signals, the live state, routes and deliveries; questions, facts, and how proposals came about."""

import sqlalchemy as sa
from alembic import op

from beton.store.migrations.walls import wall_in

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


TABLES = (
    "backtest_fire",
    "signal",
    "signal_feedback",
    "erased_unit",
    "live_match",
    "live_fired",
    "live_cursor",
    "route",
    "notice",
    "delivery",
    "delivery_attempt",
    "question",
    "fact",
    "search_record",
    "confirmation",
    "model_spend",
)


def upgrade() -> None:
    _backtest_fire()
    _signal()
    _signal_feedback()
    _erased_unit()
    _live_match()
    _live_fired()
    _live_cursor()
    _route()
    _notice()
    _delivery()
    _delivery_attempt()
    _question()
    _fact()
    _search_record()
    _confirmation()
    _model_spend()
    wall_in(TABLES)


def downgrade() -> None:
    for table in reversed(TABLES):
        op.drop_table(table)


def _backtest_fire() -> None:
    op.create_table(
        "backtest_fire",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("workspace_id", sa.String(), nullable=False),
        sa.Column("run_id", sa.String(), nullable=False),
        sa.Column("hypothesis_id", sa.String(), nullable=False),
        sa.Column("unit_kind", sa.String(), nullable=False),
        sa.Column("unit_sealed", sa.String(), nullable=False),
        sa.Column("unit_key", sa.String(), nullable=False),
        sa.Column("fired_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("outcome_at", sa.DateTime(timezone=True)),
        sa.CheckConstraint("unit_kind IN ('person', 'account')", name=op.f("ck_backtest_fire_unit_kind_known")),
        sa.ForeignKeyConstraint(["hypothesis_id"], ["hypothesis.id"], name=op.f("fk_backtest_fire_hypothesis_id_hypothesis")),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name=op.f("fk_backtest_fire_run_id_run")),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspace.id"], name=op.f("fk_backtest_fire_workspace_id_workspace")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_backtest_fire")),
        sa.UniqueConstraint("hypothesis_id", "run_id", "unit_key", name=op.f("uq_backtest_fire_hypothesis_id_run_id_unit_key")),
    )
    op.create_index(op.f("ix_backtest_fire_unit_key"), "backtest_fire", ["unit_key"])


def _signal() -> None:
    op.create_table(
        "signal",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("workspace_id", sa.String(), nullable=False),
        sa.Column("connection_id", sa.String(), nullable=False),
        sa.Column("hypothesis_id", sa.String(), nullable=False),
        sa.Column("hypothesis_version", sa.Integer(), nullable=False),
        sa.Column("type", sa.String(), nullable=False),
        sa.Column("unit_kind", sa.String(), nullable=False),
        sa.Column("unit_sealed", sa.String()),
        sa.Column("unit_key", sa.String(), nullable=False),
        sa.Column("occurrence", sa.Integer(), nullable=False),
        sa.Column("fired_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("detected_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("confidence", sa.Float()),
        sa.Column("receipts", sa.JSON(), nullable=False),
        sa.Column("owner_id", sa.String()),
        sa.Column("taken_back_at", sa.DateTime(timezone=True)),
        sa.Column("held_because", sa.String()),
        sa.Column("signal_type", sa.String(), nullable=False),
        sa.Column("assigned_id", sa.String()),
        sa.Column("assigned_at", sa.DateTime(timezone=True)),
        sa.Column("escalate_at", sa.DateTime(timezone=True)),
        sa.Column("passed_over", sa.JSON()),
        sa.Column("revised_at", sa.DateTime(timezone=True)),
        sa.Column("merged_into", sa.String()),
        sa.CheckConstraint(
            "held_because IN ('customers', 'open_opportunities', 'internal', 'competitors', 'snoozed', 'holdou"
            "t', 'unit_cooldown', 'account_cooldown', 'daily_limit')",
            name=op.f("ck_signal_held_because_known"),
        ),
        sa.CheckConstraint("signal_type IN ('pql', 'expansion', 'churn_risk', 'trial', 'spike', 'custom')", name=op.f("ck_signal_signal_type_known")),
        sa.CheckConstraint("unit_kind IN ('person', 'account')", name=op.f("ck_signal_unit_kind_known")),
        sa.ForeignKeyConstraint(["connection_id"], ["connection.id"], name=op.f("fk_signal_connection_id_connection")),
        sa.ForeignKeyConstraint(["hypothesis_id"], ["hypothesis.id"], name=op.f("fk_signal_hypothesis_id_hypothesis")),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspace.id"], name=op.f("fk_signal_workspace_id_workspace")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_signal")),
        sa.UniqueConstraint(
            "hypothesis_id",
            "hypothesis_version",
            "unit_key",
            "occurrence",
            name=op.f("uq_signal_hypothesis_id_hypothesis_version_unit_key_occurrence"),
        ),
    )
    op.create_index(op.f("ix_signal_workspace_id_connection_id_detected_at_id"), "signal", ["workspace_id", "connection_id", "detected_at", "id"])
    op.create_index(op.f("ix_signal_connection_id_unit_key"), "signal", ["connection_id", "unit_key"])
    op.create_index(op.f("ix_signal_workspace_id_assigned_id_assigned_at"), "signal", ["workspace_id", "assigned_id", "assigned_at"])
    op.create_index(op.f("ix_signal_workspace_id_escalate_at"), "signal", ["workspace_id", "escalate_at"])
    op.create_index(op.f("ix_signal_workspace_id_hypothesis_id_detected_at_id"), "signal", ["workspace_id", "hypothesis_id", "detected_at", "id"])
    op.create_index(op.f("ix_signal_workspace_id_type_detected_at_id"), "signal", ["workspace_id", "type", "detected_at", "id"])
    op.create_index(op.f("ix_signal_workspace_id_owner_id_detected_at_id"), "signal", ["workspace_id", "owner_id", "detected_at", "id"])
    op.create_index(op.f("ix_signal_workspace_id_detected_at_id"), "signal", ["workspace_id", "detected_at", "id"])


def _signal_feedback() -> None:
    op.create_table(
        "signal_feedback",
        sa.Column("signal_id", sa.String(), nullable=False),
        sa.Column("workspace_id", sa.String(), nullable=False),
        sa.Column("hypothesis_id", sa.String(), nullable=False),
        sa.Column("verdict", sa.String(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("verdict IN ('worked', 'not_a_fit', 'customer')", name=op.f("ck_signal_feedback_verdict_known")),
        sa.ForeignKeyConstraint(["hypothesis_id"], ["hypothesis.id"], name=op.f("fk_signal_feedback_hypothesis_id_hypothesis")),
        sa.ForeignKeyConstraint(["signal_id"], ["signal.id"], name=op.f("fk_signal_feedback_signal_id_signal")),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspace.id"], name=op.f("fk_signal_feedback_workspace_id_workspace")),
        sa.PrimaryKeyConstraint("signal_id", name=op.f("pk_signal_feedback")),
    )
    op.create_index(op.f("ix_signal_feedback_hypothesis_id_verdict"), "signal_feedback", ["hypothesis_id", "verdict"])


def _erased_unit() -> None:
    op.create_table(
        "erased_unit",
        sa.Column("connection_id", sa.String(), nullable=False),
        sa.Column("unit_key", sa.String(), nullable=False),
        sa.Column("workspace_id", sa.String(), nullable=False),
        sa.Column("erased_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["connection_id"], ["connection.id"], name=op.f("fk_erased_unit_connection_id_connection")),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspace.id"], name=op.f("fk_erased_unit_workspace_id_workspace")),
        sa.PrimaryKeyConstraint("connection_id", "unit_key", name=op.f("pk_erased_unit")),
    )


def _live_match() -> None:
    op.create_table(
        "live_match",
        sa.Column("connection_id", sa.String(), nullable=False),
        sa.Column("scope", sa.String(), nullable=False),
        sa.Column("unit_id", sa.String(), nullable=False),
        sa.Column("atom", sa.String(), nullable=False),
        sa.Column("event", sa.LargeBinary(), nullable=False),
        sa.Column("workspace_id", sa.String(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("value", sa.JSON()),
        sa.ForeignKeyConstraint(["connection_id"], ["connection.id"], name=op.f("fk_live_match_connection_id_connection")),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspace.id"], name=op.f("fk_live_match_workspace_id_workspace")),
        sa.PrimaryKeyConstraint("connection_id", "scope", "unit_id", "atom", "event", name=op.f("pk_live_match")),
        sqlite_with_rowid=False,
    )


def _live_fired() -> None:
    op.create_table(
        "live_fired",
        sa.Column("hypothesis_id", sa.String(), nullable=False),
        sa.Column("hypothesis_version", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("unit_id", sa.String(), nullable=False),
        sa.Column("occurrence", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("workspace_id", sa.String(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["hypothesis_id"], ["hypothesis.id"], name=op.f("fk_live_fired_hypothesis_id_hypothesis")),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspace.id"], name=op.f("fk_live_fired_workspace_id_workspace")),
        sa.PrimaryKeyConstraint("hypothesis_id", "hypothesis_version", "unit_id", "occurrence", name=op.f("pk_live_fired")),
        sqlite_with_rowid=False,
    )


def _live_cursor() -> None:
    op.create_table(
        "live_cursor",
        sa.Column("connection_id", sa.String(), nullable=False),
        sa.Column("scope", sa.String(), nullable=False),
        sa.Column("workspace_id", sa.String(), nullable=False),
        sa.Column("read_until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["connection_id"], ["connection.id"], name=op.f("fk_live_cursor_connection_id_connection")),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspace.id"], name=op.f("fk_live_cursor_workspace_id_workspace")),
        sa.PrimaryKeyConstraint("connection_id", "scope", name=op.f("pk_live_cursor")),
    )


def _route() -> None:
    op.create_table(
        "route",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("workspace_id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("destination_sealed", sa.String(), nullable=False),
        sa.Column("address", sa.String(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("notices", sa.Boolean(), nullable=False),
        sa.Column("problem", sa.String()),
        sa.Column("rules", sa.JSON(), nullable=False),
        sa.Column("failing_since", sa.DateTime(timezone=True)),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("resting_until", sa.DateTime(timezone=True)),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "kind IN ('webhook', 'slack', 'email', 'hubspot', 'attio', 'posthog_annotation', 'posthog_cohort')", name=op.f("ck_route_kind_known")
        ),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspace.id"], name=op.f("fk_route_workspace_id_workspace")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_route")),
        sa.UniqueConstraint("workspace_id", "name", name=op.f("uq_route_workspace_id_name")),
    )


def _notice() -> None:
    op.create_table(
        "notice",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("workspace_id", sa.String(), nullable=False),
        sa.Column("hypothesis_id", sa.String(), nullable=False),
        sa.Column("hypothesis_version", sa.Integer(), nullable=False),
        sa.Column("row_version", sa.Integer(), nullable=False),
        sa.Column("sentence", sa.String(), nullable=False),
        sa.Column("was", sa.String(), nullable=False),
        sa.Column("became", sa.String(), nullable=False),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("reason", sa.String()),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["hypothesis_id"], ["hypothesis.id"], name=op.f("fk_notice_hypothesis_id_hypothesis")),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspace.id"], name=op.f("fk_notice_workspace_id_workspace")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notice")),
        sa.UniqueConstraint("hypothesis_id", "row_version", name=op.f("uq_notice_hypothesis_id_row_version")),
    )
    op.create_index(op.f("ix_notice_workspace_id"), "notice", ["workspace_id"])


def _delivery() -> None:
    op.create_table(
        "delivery",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("workspace_id", sa.String(), nullable=False),
        sa.Column("signal_id", sa.String()),
        sa.Column("notice_id", sa.String()),
        sa.Column("route_id", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_attempt_at", sa.DateTime(timezone=True)),
        sa.Column("last_error", sa.String()),
        sa.Column("message_id", sa.String(), nullable=False),
        sa.Column("lease", sa.String()),
        sa.Column("leased_until", sa.DateTime(timezone=True)),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("delivered_at", sa.DateTime(timezone=True)),
        sa.Column("attempts_before", sa.Integer(), nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.CheckConstraint("status IN ('pending', 'delivered', 'failed', 'dead', 'paused', 'in_doubt')", name=op.f("ck_delivery_status_known")),
        sa.CheckConstraint("(signal_id IS NULL) <> (notice_id IS NULL)", name=op.f("ck_delivery_about_one_thing")),
        sa.ForeignKeyConstraint(["notice_id"], ["notice.id"], name=op.f("fk_delivery_notice_id_notice")),
        sa.ForeignKeyConstraint(["route_id"], ["route.id"], name=op.f("fk_delivery_route_id_route")),
        sa.ForeignKeyConstraint(["signal_id"], ["signal.id"], name=op.f("fk_delivery_signal_id_signal")),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspace.id"], name=op.f("fk_delivery_workspace_id_workspace")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_delivery")),
        sa.UniqueConstraint("message_id", name=op.f("uq_delivery_message_id")),
        sa.UniqueConstraint("notice_id", "route_id", name=op.f("uq_delivery_notice_id_route_id")),
        sa.UniqueConstraint("signal_id", "route_id", "step", name=op.f("uq_delivery_signal_id_route_id_step")),
    )
    op.create_index(op.f("ix_delivery_workspace_id_route_id_created_at_id"), "delivery", ["workspace_id", "route_id", "created_at", "id"])
    op.create_index(op.f("ix_delivery_route_id_status"), "delivery", ["route_id", "status"])
    op.create_index(op.f("ix_delivery_workspace_id_status_created_at_id"), "delivery", ["workspace_id", "status", "created_at", "id"])
    op.create_index(op.f("ix_delivery_status_next_attempt_at"), "delivery", ["status", "next_attempt_at"])
    op.create_index(op.f("ix_delivery_workspace_id_created_at_id"), "delivery", ["workspace_id", "created_at", "id"])


def _delivery_attempt() -> None:
    op.create_table(
        "delivery_attempt",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("workspace_id", sa.String(), nullable=False),
        sa.Column("delivery_id", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("status_code", sa.Integer()),
        sa.Column("latency_ms", sa.Integer()),
        sa.Column("response_head", sa.String()),
        sa.Column("error", sa.String()),
        sa.ForeignKeyConstraint(["delivery_id"], ["delivery.id"], name=op.f("fk_delivery_attempt_delivery_id_delivery")),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspace.id"], name=op.f("fk_delivery_attempt_workspace_id_workspace")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_delivery_attempt")),
    )
    op.create_index(op.f("ix_delivery_attempt_delivery_id"), "delivery_attempt", ["delivery_id"])


def _question() -> None:
    op.create_table(
        "question",
        sa.Column("connection_id", sa.String(), nullable=False),
        sa.Column("workspace_id", sa.String(), nullable=False),
        sa.Column("definition", sa.JSON(), nullable=False),
        sa.Column("window_days", sa.Float(), nullable=False),
        sa.Column("share_values", sa.Boolean(), nullable=False),
        sa.Column("confirmed_by", sa.String(), nullable=False),
        sa.Column("confirmed_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["connection_id"], ["connection.id"], name=op.f("fk_question_connection_id_connection")),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspace.id"], name=op.f("fk_question_workspace_id_workspace")),
        sa.PrimaryKeyConstraint("connection_id", name=op.f("pk_question")),
    )


def _fact() -> None:
    op.create_table(
        "fact",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("workspace_id", sa.String(), nullable=False),
        sa.Column("connection_id", sa.String(), nullable=False),
        sa.Column("text", sa.String(), nullable=False),
        sa.Column("written_by", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["connection_id"], ["connection.id"], name=op.f("fk_fact_connection_id_connection")),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspace.id"], name=op.f("fk_fact_workspace_id_workspace")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_fact")),
    )
    op.create_index(op.f("ix_fact_connection_id"), "fact", ["connection_id"])


def _search_record() -> None:
    op.create_table(
        "search_record",
        sa.Column("run_id", sa.String(), nullable=False),
        sa.Column("workspace_id", sa.String(), nullable=False),
        sa.Column("connection_id", sa.String(), nullable=False),
        sa.Column("content", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["connection_id"], ["connection.id"], name=op.f("fk_search_record_connection_id_connection")),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name=op.f("fk_search_record_run_id_run")),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspace.id"], name=op.f("fk_search_record_workspace_id_workspace")),
        sa.PrimaryKeyConstraint("run_id", name=op.f("pk_search_record")),
    )
    op.create_index(op.f("ix_search_record_connection_id"), "search_record", ["connection_id"])


def _confirmation() -> None:
    op.create_table(
        "confirmation",
        sa.Column("run_id", sa.String(), nullable=False),
        sa.Column("fingerprint", sa.String(), nullable=False),
        sa.Column("workspace_id", sa.String(), nullable=False),
        sa.Column("connection_id", sa.String(), nullable=False),
        sa.Column("hypothesis_id", sa.String(), nullable=False),
        sa.Column("hypothesis_version", sa.Integer(), nullable=False),
        sa.Column("confirmed_from", sa.DateTime(timezone=True), nullable=False),
        sa.Column("confirmed_until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("counted", sa.Boolean(), nullable=False),
        sa.Column("withheld", sa.JSON()),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["connection_id"], ["connection.id"], name=op.f("fk_confirmation_connection_id_connection")),
        sa.ForeignKeyConstraint(["hypothesis_id"], ["hypothesis.id"], name=op.f("fk_confirmation_hypothesis_id_hypothesis")),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name=op.f("fk_confirmation_run_id_run")),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspace.id"], name=op.f("fk_confirmation_workspace_id_workspace")),
        sa.PrimaryKeyConstraint("run_id", "fingerprint", name=op.f("pk_confirmation")),
    )
    op.create_index(op.f("ix_confirmation_connection_id"), "confirmation", ["connection_id"])
    op.create_index(op.f("ix_confirmation_hypothesis_id"), "confirmation", ["hypothesis_id"])


def _model_spend() -> None:
    op.create_table(
        "model_spend",
        sa.Column("run_id", sa.String(), nullable=False),
        sa.Column("workspace_id", sa.String(), nullable=False),
        sa.Column("day", sa.String(), nullable=False),
        sa.Column("calls", sa.Integer(), nullable=False),
        sa.Column("tokens", sa.BigInteger(), nullable=False),
        sa.Column("money", sa.Float(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name=op.f("fk_model_spend_run_id_run")),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspace.id"], name=op.f("fk_model_spend_workspace_id_workspace")),
        sa.PrimaryKeyConstraint("run_id", name=op.f("pk_model_spend")),
    )
    op.create_index(op.f("ix_model_spend_workspace_id_day"), "model_spend", ["workspace_id", "day"])
