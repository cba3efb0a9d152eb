"""Tables of connections, hypotheses, runs, results and decisions."""

import sqlalchemy as sa
from alembic import op

from beton.store.migrations.walls import BY_SECRET, let_see, wall_in

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


TABLES = (
    "workspace",
    "connection",
    "account",
    "member",
    "access_link",
    "session",
    "api_key",
    "kept_answer",
    "taxonomy_snapshot",
    "hypothesis",
    "run",
    "read_bucket",
    "backtest",
    "hypothesis_version",
    "audit_entry",
    "request_ledger",
    "request_place",
)


def upgrade() -> None:
    _workspace()
    _connection()
    _account()
    _member()
    _access_link()
    _session()
    _api_key()
    _kept_answer()
    _taxonomy_snapshot()
    _hypothesis()
    _run()
    _read_bucket()
    _backtest()
    _hypothesis_version()
    _audit_entry()
    _request_ledger()
    _request_place()
    _guards()
    wall_in(table for table in TABLES if table not in ("workspace", "account"))
    for table in ("access_link", "session", "api_key"):
        let_see(table, BY_SECRET, "secret")
    let_see("member", "account_id", "account")


def downgrade() -> None:
    for table in reversed(TABLES):
        op.drop_table(table)
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION refuse_change()")
        op.execute("DROP FUNCTION refuse_removal()")


def _workspace() -> None:
    op.create_table(
        "workspace",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("unit_hash_key_sealed", sa.String(), nullable=False),
        sa.Column("settings", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_workspace")),
    )


def _connection() -> None:
    op.create_table(
        "connection",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("workspace_id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("host", sa.String(), nullable=False),
        sa.Column("project_id", sa.String(), nullable=False),
        sa.Column("api_key_sealed", sa.String(), nullable=False),
        sa.Column("share", sa.Float(), nullable=False),
        sa.Column("timezone", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("problem", sa.String()),
        sa.Column("last_checked_at", sa.DateTime(timezone=True)),
        sa.Column("limits", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("share > 0 AND share <= 1", name=op.f("ck_connection_share_is_a_share")),
        sa.CheckConstraint("status IN ('unchecked', 'working', 'failing')", name=op.f("ck_connection_status_known")),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspace.id"], name=op.f("fk_connection_workspace_id_workspace")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_connection")),
        sa.UniqueConstraint("workspace_id", "name", name=op.f("uq_connection_workspace_id_name")),
    )
    op.create_index(op.f("ix_connection_workspace_id"), "connection", ["workspace_id"])


def _account() -> None:
    op.create_table(
        "account",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("email", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("password_hash", sa.String()),
        sa.Column("issuer", sa.String()),
        sa.Column("subject", sa.String()),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_account")),
        sa.UniqueConstraint("email", name=op.f("uq_account_email")),
        sa.UniqueConstraint("issuer", "subject", name=op.f("uq_account_issuer_subject")),
    )


def _member() -> None:
    op.create_table(
        "member",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("workspace_id", sa.String(), nullable=False),
        sa.Column("account_id", sa.String(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("signed_in_at", sa.DateTime(timezone=True)),
        sa.CheckConstraint("role IN ('viewer', 'sales', 'reviewer', 'admin')", name=op.f("ck_member_role_known")),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_member_account_id_account")),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspace.id"], name=op.f("fk_member_workspace_id_workspace")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_member")),
        sa.UniqueConstraint("workspace_id", "account_id", name=op.f("uq_member_workspace_id_account_id")),
    )
    op.create_index(op.f("ix_member_account_id"), "member", ["account_id"])


def _access_link() -> None:
    op.create_table(
        "access_link",
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("workspace_id", sa.String(), nullable=False),
        sa.Column("purpose", sa.String(), nullable=False),
        sa.Column("email", sa.String(), nullable=False),
        sa.Column("role", sa.String()),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True)),
        sa.CheckConstraint("purpose IN ('invite', 'reset', 'sign_in')", name=op.f("ck_access_link_purpose_known")),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspace.id"], name=op.f("fk_access_link_workspace_id_workspace")),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_access_link")),
    )
    op.create_index(op.f("ix_access_link_workspace_id"), "access_link", ["workspace_id"])


def _session() -> None:
    op.create_table(
        "session",
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("workspace_id", sa.String(), nullable=False),
        sa.Column("member_id", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["member_id"], ["member.id"], name=op.f("fk_session_member_id_member")),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspace.id"], name=op.f("fk_session_workspace_id_workspace")),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_session")),
    )
    op.create_index(op.f("ix_session_member_id"), "session", ["member_id"])


def _api_key() -> None:
    op.create_table(
        "api_key",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("workspace_id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("prefix", sa.String(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("scopes", sa.JSON(), nullable=False),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_used_at", sa.DateTime(timezone=True)),
        sa.Column("revoked_at", sa.DateTime(timezone=True)),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspace.id"], name=op.f("fk_api_key_workspace_id_workspace")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_key")),
        sa.UniqueConstraint("digest", name=op.f("uq_api_key_digest")),
    )
    op.create_index(op.f("ix_api_key_workspace_id"), "api_key", ["workspace_id"])


def _kept_answer() -> None:
    op.create_table(
        "kept_answer",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("caller_id", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("workspace_id", sa.String(), nullable=False),
        sa.Column("asked", sa.String(), nullable=False),
        sa.Column("status", sa.Integer()),
        sa.Column("headers", sa.JSON(), nullable=False),
        sa.Column("answer_sealed", sa.String()),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspace.id"], name=op.f("fk_kept_answer_workspace_id_workspace")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_kept_answer")),
        sa.UniqueConstraint("caller_id", "key", name=op.f("uq_kept_answer_caller_id_key")),
    )
    op.create_index(op.f("ix_kept_answer_created_at"), "kept_answer", ["created_at"])


def _taxonomy_snapshot() -> None:
    op.create_table(
        "taxonomy_snapshot",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("workspace_id", sa.String(), nullable=False),
        sa.Column("connection_id", sa.String(), nullable=False),
        sa.Column("taken_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("content", sa.JSON(), nullable=False),
        sa.Column("samples_sealed", sa.String()),
        sa.Column("samples_expire_at", sa.DateTime(timezone=True)),
        sa.ForeignKeyConstraint(["connection_id"], ["connection.id"], name=op.f("fk_taxonomy_snapshot_connection_id_connection")),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspace.id"], name=op.f("fk_taxonomy_snapshot_workspace_id_workspace")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_taxonomy_snapshot")),
    )
    op.create_index(op.f("ix_taxonomy_snapshot_connection_id_taken_at"), "taxonomy_snapshot", ["connection_id", "taken_at"])
    op.create_index(op.f("ix_taxonomy_snapshot_workspace_id"), "taxonomy_snapshot", ["workspace_id"])


def _hypothesis() -> None:
    op.create_table(
        "hypothesis",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("workspace_id", sa.String(), nullable=False),
        sa.Column("connection_id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("fingerprint", sa.String(), nullable=False),
        sa.Column("definition", sa.JSON(), nullable=False),
        sa.Column("sentence", sa.String(), nullable=False),
        sa.Column("type", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("row_version", sa.Integer(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("selected", sa.Boolean(), nullable=False),
        sa.Column("rejected_reason", sa.String()),
        sa.Column("snoozed_until", sa.DateTime(timezone=True)),
        sa.Column("override_reason", sa.String()),
        sa.Column("decided_by", sa.String()),
        sa.Column("decided_at", sa.DateTime(timezone=True)),
        sa.Column("live_from", sa.DateTime(timezone=True)),
        sa.Column("live_since", sa.DateTime(timezone=True)),
        sa.Column("fired_count", sa.Integer(), nullable=False),
        sa.Column("newest_backtest_id", sa.String()),
        sa.Column("verdict", sa.String()),
        sa.Column("rank", sa.Float(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("source IN ('agent', 'person', 'search')", name=op.f("ck_hypothesis_source_known")),
        sa.CheckConstraint(
            "status IN ('draft', 'proposed', 'snoozed', 'approved', 'paused', 'rejected', 'retired')", name=op.f("ck_hypothesis_status_known")
        ),
        sa.CheckConstraint("verdict IN ('clears', 'does_not_clear', 'cannot_tell')", name=op.f("ck_hypothesis_verdict_known")),
        sa.ForeignKeyConstraint(["connection_id"], ["connection.id"], name=op.f("fk_hypothesis_connection_id_connection")),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspace.id"], name=op.f("fk_hypothesis_workspace_id_workspace")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_hypothesis")),
        sa.UniqueConstraint("workspace_id", "connection_id", "fingerprint", name=op.f("uq_hypothesis_workspace_id_connection_id_fingerprint")),
    )
    op.create_index(
        op.f("ix_hypothesis_workspace_id_connection_id_created_at_id"), "hypothesis", ["workspace_id", "connection_id", "created_at", "id"]
    )
    op.create_index(op.f("ix_hypothesis_workspace_id_created_at_id"), "hypothesis", ["workspace_id", "created_at", "id"])
    op.create_index(op.f("ix_hypothesis_workspace_id_status_rank_id"), "hypothesis", ["workspace_id", "status", "rank", "id"])
    op.create_index(op.f("ix_hypothesis_workspace_id_status_verdict"), "hypothesis", ["workspace_id", "status", "verdict"])


def _run() -> None:
    op.create_table(
        "run",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("workspace_id", sa.String(), nullable=False),
        sa.Column("connection_id", sa.String()),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("request", sa.JSON(), nullable=False),
        sa.Column("progress", sa.JSON(), nullable=False),
        sa.Column("counts", sa.JSON(), nullable=False),
        sa.Column("error", sa.JSON()),
        sa.Column("workflow_id", sa.String()),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True)),
        sa.Column("finished_at", sa.DateTime(timezone=True)),
        sa.CheckConstraint("kind IN ('taxonomy', 'propose', 'backtest', 'sweep')", name=op.f("ck_run_kind_known")),
        sa.CheckConstraint("status IN ('queued', 'running', 'done', 'failed', 'cancelled')", name=op.f("ck_run_status_known")),
        sa.ForeignKeyConstraint(["connection_id"], ["connection.id"], name=op.f("fk_run_connection_id_connection")),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspace.id"], name=op.f("fk_run_workspace_id_workspace")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_run")),
        sa.UniqueConstraint("workflow_id", name=op.f("uq_run_workflow_id")),
    )
    op.create_index(op.f("ix_run_connection_id"), "run", ["connection_id"])
    op.create_index(op.f("ix_run_workspace_id_created_at_id"), "run", ["workspace_id", "created_at", "id"])


def _read_bucket() -> None:
    op.create_table(
        "read_bucket",
        sa.Column("run_id", sa.String(), nullable=False),
        sa.Column("bucket", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("workspace_id", sa.String(), nullable=False),
        sa.Column("counts", sa.JSON(), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name=op.f("fk_read_bucket_run_id_run")),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspace.id"], name=op.f("fk_read_bucket_workspace_id_workspace")),
        sa.PrimaryKeyConstraint("run_id", "bucket", name=op.f("pk_read_bucket")),
    )


def _backtest() -> None:
    op.create_table(
        "backtest",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("workspace_id", sa.String(), nullable=False),
        sa.Column("hypothesis_id", sa.String(), nullable=False),
        sa.Column("hypothesis_version", sa.Integer(), nullable=False),
        sa.Column("run_id", sa.String(), nullable=False),
        sa.Column("as_of", sa.DateTime(timezone=True), nullable=False),
        sa.Column("window_days", sa.Float(), nullable=False),
        sa.Column("fingerprint", sa.String(), nullable=False),
        sa.Column("result", sa.JSON(), nullable=False),
        sa.Column("clears", sa.Boolean()),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["hypothesis_id"], ["hypothesis.id"], name=op.f("fk_backtest_hypothesis_id_hypothesis")),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name=op.f("fk_backtest_run_id_run")),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspace.id"], name=op.f("fk_backtest_workspace_id_workspace")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_backtest")),
        sa.UniqueConstraint("run_id", "hypothesis_id", "hypothesis_version", name=op.f("uq_backtest_run_id_hypothesis_id_hypothesis_version")),
    )
    op.create_index(op.f("ix_backtest_hypothesis_id_created_at"), "backtest", ["hypothesis_id", "created_at"])


def _hypothesis_version() -> None:
    op.create_table(
        "hypothesis_version",
        sa.Column("hypothesis_id", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("workspace_id", sa.String(), nullable=False),
        sa.Column("fingerprint", sa.String(), nullable=False),
        sa.Column("definition", sa.JSON(), nullable=False),
        sa.Column("sentence", sa.String(), nullable=False),
        sa.Column("backtest_id", sa.String()),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["backtest_id"], ["backtest.id"], name=op.f("fk_hypothesis_version_backtest_id_backtest")),
        sa.ForeignKeyConstraint(["hypothesis_id"], ["hypothesis.id"], name=op.f("fk_hypothesis_version_hypothesis_id_hypothesis")),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspace.id"], name=op.f("fk_hypothesis_version_workspace_id_workspace")),
        sa.PrimaryKeyConstraint("hypothesis_id", "version", name=op.f("pk_hypothesis_version")),
    )


def _audit_entry() -> None:
    op.create_table(
        "audit_entry",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("workspace_id", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("object_type", sa.String(), nullable=False),
        sa.Column("object_id", sa.String(), nullable=False),
        sa.Column("before", sa.JSON()),
        sa.Column("after", sa.JSON()),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("chain", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspace.id"], name=op.f("fk_audit_entry_workspace_id_workspace")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_entry")),
        sa.UniqueConstraint("workspace_id", "number", name=op.f("uq_audit_entry_workspace_id_number")),
    )
    op.create_index(op.f("ix_audit_entry_workspace_id_object_id_number"), "audit_entry", ["workspace_id", "object_id", "number"])
    op.create_index(op.f("ix_audit_entry_workspace_id"), "audit_entry", ["workspace_id"])


def _request_ledger() -> None:
    op.create_table(
        "request_ledger",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("workspace_id", sa.String(), nullable=False),
        sa.Column("connection_id", sa.String(), nullable=False),
        sa.Column("surface", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("requests", sa.Integer(), nullable=False),
        sa.Column("read", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["connection_id"], ["connection.id"], name=op.f("fk_request_ledger_connection_id_connection")),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspace.id"], name=op.f("fk_request_ledger_workspace_id_workspace")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_request_ledger")),
    )
    op.create_index(op.f("ix_request_ledger_connection_id_surface_at"), "request_ledger", ["connection_id", "surface", "at"])


def _request_place() -> None:
    op.create_table(
        "request_place",
        sa.Column("connection_id", sa.String(), nullable=False),
        sa.Column("surface", sa.String(), nullable=False),
        sa.Column("holder", sa.String(), nullable=False),
        sa.Column("workspace_id", sa.String(), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["connection_id"], ["connection.id"], name=op.f("fk_request_place_connection_id_connection")),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspace.id"], name=op.f("fk_request_place_workspace_id_workspace")),
        sa.PrimaryKeyConstraint("connection_id", "surface", "holder", name=op.f("pk_request_place")),
    )


# The database itself keeps the audit log append-only and backtests unchanged, whatever the code above it does.
GUARDS = (("audit_entry", "UPDATE"), ("backtest", "UPDATE"))

# An entry of the log goes only when a later one, a month younger at least, says that everything up to it goes, and what the chain was there.
ANNOUNCED = (
    "EXISTS (SELECT 1 FROM audit_entry e WHERE e.workspace_id = OLD.workspace_id AND e.action = 'audit.expire' "
    "AND CAST(e.object_id AS INTEGER) >= OLD.number AND e.number > OLD.number AND {month_younger})"
)


def _guards() -> None:
    postgresql = op.get_bind().dialect.name == "postgresql"
    if postgresql:
        refusal = "BEGIN RAISE EXCEPTION '% is append-only', TG_TABLE_NAME; END"
        op.execute(f"CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $${refusal}$$")
    for table, event in GUARDS:
        name = f"{table}_refuses_{event.lower()}"
        body = "EXECUTE FUNCTION refuse_change()" if postgresql else f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
        op.execute(f"CREATE TRIGGER {name} BEFORE {event} ON {table} FOR EACH ROW {body}")
    if postgresql:
        announced = ANNOUNCED.format(month_younger="e.at >= OLD.at + interval '30 days'")
        allowed = f"BEGIN IF {announced} THEN RETURN OLD; END IF; RAISE EXCEPTION '% is append-only', TG_TABLE_NAME; END"
        op.execute(f"CREATE FUNCTION refuse_removal() RETURNS trigger LANGUAGE plpgsql AS $${allowed}$$")
        op.execute("CREATE TRIGGER audit_entry_refuses_delete BEFORE DELETE ON audit_entry FOR EACH ROW EXECUTE FUNCTION refuse_removal()")
    else:
        unannounced = "NOT " + ANNOUNCED.format(month_younger="julianday(e.at) >= julianday(OLD.at) + 30")
        body = "BEGIN SELECT RAISE(ABORT, 'audit_entry is append-only'); END"
        op.execute(f"CREATE TRIGGER audit_entry_refuses_delete BEFORE DELETE ON audit_entry FOR EACH ROW WHEN {unannounced} {body}")
