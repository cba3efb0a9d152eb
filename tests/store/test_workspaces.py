"""The walls between workspaces: the criterion that the store adds, and the policies of PostgreSQL behind it."""

from collections.abc import Generator
from datetime import timedelta

import psycopg
import pytest
import sqlalchemy as sa
from psycopg.sql import SQL, Identifier
from sqlalchemy.exc import ProgrammingError

from beton.errors import Conflict, NotFound
from beton.roles import Permission, Role
from beton.store import (
    agent_tables,
    api_keys,
    connections,
    deliveries,
    hypotheses,
    live,
    members,
    people_tables,
    routes,
    runs,
    sessions,
    signals,
    tables,
    taxonomies,
    workspaces,
)
from beton.store.columns import Owned, Row
from beton.store.engines import open_engine
from beton.store.migrate import migrate
from beton.store.passwords import Passwords
from beton.store.records import Connection, LiveMatch
from beton.store.sealing import Sealer
from beton.store.store import Store
from tests.conftest import Clock
from tests.store.steps import a_webhook, approved, finding

TABLES = (agent_tables, people_tables, tables)
"""Imported, so that their tables are among those of the metadata."""
OWNED = sorted(name for name, table in Row.metadata.tables.items() if "workspace_id" in table.c)


@pytest.fixture
def other(store: Store) -> Store:
    """The same database from a second workspace."""
    return store.of(workspaces.add(store, "Second", actor="ada").id)


def test_every_table_with_a_workspace_is_marked_as_owned() -> None:
    marked = {vars(row)["__tablename__"] for row in Owned.__subclasses__()}
    assert marked == set(OWNED)
    assert set(Row.metadata.tables) - marked == {"workspace", "account"}


def test_a_workspace_sees_and_changes_nothing_of_another(store: Store, other: Store, connection: Connection, clock: Clock) -> None:
    row = approved(store, connection)
    with store.transaction() as tx:
        routes.add(tx, name="crm", destination=a_webhook(url="https://hooks.example.com/x", secret="whsec_canaryCANARY"), actor="ada")
        (signal,) = signals.record(tx, row.id, 1, [finding("p1", clock.now)])
        run = runs.queue(tx, "backtest", connection_id=connection.id)
        taxonomies.save(tx, connection.id, {"events": {}})
        live.remember(tx, connection.id, "scope", "person", [LiveMatch("atom", "p1", 5)])
    with other.transaction() as tx:
        assert connections.every(tx) == hypotheses.every(tx) == routes.every(tx) == signals.of_unit(tx, connection.id, "person", "p1") == []
        assert signals.listing(tx).data == deliveries.listing(tx).data == runs.listing(tx).data == ()
        assert taxonomies.latest(tx, connection.id) is None
        assert live.matches(tx, connection.id, "scope") == []
        assert live.fired(tx, row.id, 1) == {}
        for ask in (
            lambda: connections.get(tx, connection.id),
            lambda: connections.api_key(tx, "shop"),
            lambda: hypotheses.get(tx, row.id),
            lambda: signals.get(tx, signal.id),
            lambda: runs.get(tx, run.id),
            lambda: routes.destination(tx, "crm"),
        ):
            with pytest.raises(NotFound):
                ask()
        live.rewind(tx, connection.id)
        live.forget(tx, connection.id, "scope")
    with store.reading() as tx:
        assert len(live.matches(tx, connection.id, "scope")) == 1
        assert signals.get(tx, signal.id) == signal


def test_names_may_be_the_same_in_two_workspaces(store: Store, other: Store, connection: Connection) -> None:
    with other.transaction() as tx:
        twin = connections.add(tx, name="shop", host="https://eu.posthog.com", project_id="17", api_key="phx_canaryCANARYcanary", actor="ada")
    assert twin.id != connection.id
    assert twin.workspace_id == other.workspace_id


def test_a_person_may_be_a_member_of_two_workspaces_and_is_somebody_else_in_each(store: Store, other: Store, clock: Clock) -> None:
    passwords = Passwords(quick=True)
    with store.transaction() as tx:
        here = members.add(tx, "Ada@Example.com", Role.ADMIN, actor="set-up")
        members.set_password(tx, here.id, passwords.hash("correct horse battery"), actor="ada")
    clock.advance(timedelta(minutes=1))
    with other.transaction() as tx:
        there = members.add(tx, "ada@example.com", Role.VIEWER, actor="set-up")
        assert members.every(tx) == [there]
        sessions.begin(tx, there.id, lasts=timedelta(days=1), how="password", actor="ada")
    assert (here.account_id, here.email, here.role) == (there.account_id, "ada@example.com", Role.ADMIN)
    assert members.with_password(store, "ADA@example.com ", "correct horse battery", passwords) == (other.workspace_id, there.id)
    assert members.with_password(store, "ada@example.com", "correct horse batterz", passwords) is None
    assert members.with_password(store, "eve@example.com", "correct horse battery", passwords) is None


def test_the_last_admin_stays(store: Store) -> None:
    with store.transaction() as tx:
        ada = members.add(tx, "ada@example.com", Role.ADMIN, actor="set-up")
        for change in (lambda: members.remove(tx, ada.id, actor="ada"), lambda: members.change_role(tx, ada.email, Role.VIEWER, actor="ada")):
            with pytest.raises(Conflict):
                change()
        members.add(tx, "eve@example.com", Role.ADMIN, actor="ada")
        assert members.change_role(tx, ada.id, Role.VIEWER, actor="eve").role is Role.VIEWER
        assert members.remove(tx, ada.id, actor="eve").email == "ada@example.com"


# --- policies ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def tenant(postgres_url: str, clock: Clock) -> Generator[Store]:
    """A store whose role has all rights on the tables and owns none of them."""
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        role = Identifier("tenant_" + postgres_url.partition("?")[0].rpartition("/")[2])
        connection.execute(SQL("CREATE ROLE {} LOGIN").format(role))
        connection.execute(SQL("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {}").format(role))
        connection.execute(SQL("GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {}").format(role))
    name = postgres_url.partition("?")[0].rpartition("/")[2]
    opened = Store(open_engine(postgres_url.replace("postgres@", f"tenant_{name}@")), Sealer({"k1": bytes(range(32))}), clock)
    yield opened
    opened.close()


def test_every_owned_table_has_a_policy(postgres_url: str) -> None:
    with psycopg.connect(postgres_url) as connection:
        walled = connection.execute("SELECT relname FROM pg_class WHERE relrowsecurity AND relkind = 'r'").fetchall()
        policies = connection.execute("SELECT tablename, policyname, cmd FROM pg_policies ORDER BY 1, 2").fetchall()
    assert sorted(name for (name,) in walled) == OWNED
    assert [table for table, policy, command in policies if (policy, command) == ("own_workspace", "ALL")] == OWNED
    assert {(table, policy) for table, policy, command in policies if policy != "own_workspace" and command == "SELECT"} == {
        ("access_link", "shown_secret"), ("api_key", "shown_secret"), ("session", "shown_secret"), ("member", "shown_account"),
        ("inbound_address", "shown_secret"),
    }  # fmt: skip


def test_statements_that_forget_the_workspace_meet_the_second_wall(tenant: Store, clock: Clock) -> None:
    """Everything here goes around the store's criterion, as a careless or an injected statement would."""
    migrate(tenant.engine)  # a server does so as it starts, and there is nothing to do
    second = tenant.of(workspaces.add(tenant, "Second", actor="ada").id)
    with tenant.transaction() as tx:
        kept = connections.add(tx, name="shop", host="https://eu.posthog.com", project_id="17", api_key="phx_canaryCANARYcanary", actor="ada")
        api_keys.issue(tx, "laptop", [Permission.READ], actor="ada")
        members.add(tx, "ada@example.com", Role.ADMIN, actor="set-up")
        sessions.make_link(tx, "invite", "eve@example.com", actor="ada", role=Role.VIEWER)
    row = approved(tenant, kept)
    with second.reading() as tx:
        for table in OWNED:
            expected = 1 if table == "audit_entry" else 0  # the workspace's own beginning
            assert tx.session.connection().execute(sa.text(f"SELECT count(*) FROM {table}")).scalar_one() == expected, table
    with second.transaction() as tx:
        raw = tx.session.connection()
        assert raw.execute(sa.text("UPDATE hypothesis SET name = 'mine'")).rowcount == 0
        assert raw.execute(sa.text("DELETE FROM connection")).rowcount == 0
    smuggled = (
        "INSERT INTO fact (id, workspace_id, connection_id, text, written_by, created_at) VALUES ('f', :workspace, :connection, 'x', 'eve', now())"
    )
    with pytest.raises(ProgrammingError, match="row-level security"), second.transaction() as tx:
        tx.session.connection().execute(sa.text(smuggled), {"workspace": tenant.workspace_id, "connection": kept.id})
    with tenant.reading() as tx:
        assert hypotheses.get(tx, row.id).name != "mine"


def test_whoever_shows_a_secret_is_let_in_through_the_second_wall_too(tenant: Store, clock: Clock) -> None:
    second, passwords = tenant.of(workspaces.add(tenant, "Second", actor="ada").id), Passwords(quick=True)
    with second.transaction() as tx:
        ada = members.add(tx, "ada@example.com", Role.ADMIN, actor="set-up")
        members.set_password(tx, ada.id, passwords.hash("correct horse battery"), actor="ada")
        key, text = api_keys.issue(tx, "laptop", [Permission.READ], actor="ada")
        token = sessions.begin(tx, ada.id, lasts=timedelta(days=1), how="password", actor="ada")
        _, link = sessions.make_link(tx, "reset", "ada@example.com", actor="ada")
    assert api_keys.holder(tenant, text) == (second.workspace_id, key)
    assert members.with_password(tenant, "ada@example.com", "correct horse battery", passwords) == (second.workspace_id, ada.id)
    assert sessions.look_at_link(tenant, link)[0] == second.workspace_id
    found = sessions.holder(tenant, token, idle=timedelta(hours=1))
    assert found is not None
    assert (found[0], found[1].id) == (second.workspace_id, ada.id)
    api_keys.note_use(second, key)
    with tenant.everywhere() as session:
        for table in ("api_key", "session", "access_link", "member"):
            assert session.connection().execute(sa.text(f"SELECT count(*) FROM {table}")).scalar_one() == 0, table
