"""Accounts of people who fired: their group, else the company behind their e-mail address."""

import asyncio
import json
from collections.abc import Generator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

import pytest

from backtest.taxonomy import GroupType, PropertyDefinition, Taxonomy
from beton.posthog.belonging import Asked, Belongs
from beton.signals import Account, Finding
from beton.store.store import Store
from beton.work import knowing
from beton.work.companies import domain_of, entry, registrable
from tests.conftest import Clock

pytest.importorskip("chdb", reason="the sandbox is an optional part of the installation")

from beton.sandbox.run import running_sandbox
from beton.settings import Settings
from beton.work.workplace import Workplace
from tests.work.workshop import Unlimited, connected

START = datetime(2026, 3, 2, tzinfo=UTC)
PEOPLE = {
    "p-gmail": {"email": "somebody@gmail.com"},
    "p-acme": {"email": "Ann@mail.acme.co.uk", "owner": "ada@example.com"},
    "p-group": {"email": "bob@other.example.org"},
    "p-nothing": {},
}


@pytest.mark.parametrize(
    ("email", "domain"),
    [
        ("ann@acme.com", "acme.com"),
        ("Ann@Mail.ACME.co.uk", "acme.co.uk"),
        ("ann@gmail.com", None),
        ("ann@hotmail.co.uk", None),
        ("ann@mailinator.com", None),
        ("ann@co.uk", None),
        ("ann@localhost", None),
        ("ann@10.0.0.1", None),
        ("no address", None),
        ("a@b@c.com", None),
        ("", None),
        (None, None),
    ],
)
def test_a_company_is_the_registrable_domain_of_an_address_unless_anybody_has_one_there(email: str | None, domain: str | None) -> None:
    assert domain_of(email) == domain


def test_a_link_is_its_company_s_domain() -> None:
    assert registrable("https://www.acme.io:8080/path?x=1") == "acme.io"
    assert registrable("bücher.de") == "xn--bcher-kva.de"
    assert registrable("github.io") is None, "everybody's sites are there"


def test_a_line_of_a_list_is_an_address_a_domain_or_an_id() -> None:
    assert [tuple(one) for one in map(entry, [" Ann@Acme.com ", "www.acme.com", "user-17", '"018f"']) if one] == [
        ("email", "ann@acme.com"), ("domain", "acme.com"), ("id", "user-17"), ("id", "018f")
    ]  # fmt: skip
    assert entry("  ") is None


def test_usual_names_are_found_and_what_was_set_counts_before_them() -> None:
    properties: list[tuple[str, Literal["person", "group"], str | None]] = [
        ("email", "person", None),
        ("name", "group", "company"),
        ("website", "group", "company"),
        ("name", "group", "team"),
    ]
    taxonomy = Taxonomy(
        taken_at=START,
        window_days=30,
        properties=tuple(PropertyDefinition(name=name, kind=kind, group_type=group) for name, kind, group in properties),
        group_types=(GroupType(index=1, name="team"), GroupType(index=0, name="company")),
    )
    assert knowing.asked_of(knowing.Telling(), taxonomy) == Asked(0, "email", "name", "website", None)
    assert knowing.asked_of(knowing.Telling(email="", group_type="team", owner="csm"), taxonomy) == Asked(1, None, "name", None, "csm")
    assert knowing.asked_of(knowing.Telling(), Taxonomy(taken_at=START, window_days=30)) == Asked()


def test_nothing_is_asked_where_nothing_could_tell() -> None:
    found = knowing.Known({}, {})
    one = Finding(unit_kind="person", unit_id="p1", fired_at=Clock().now)
    assert found.told(one).account is None
    group = Finding(unit_kind="account", unit_id="acme-1", fired_at=Clock().now)
    assert knowing.Known({"acme-1": Belongs("acme-1", "Acme", "https://acme.com")}, {}).told(group).account == Account(
        key="acme-1", name="Acme", domain="acme.com"
    )


@pytest.fixture
def place(store: Store, clock: Clock, tmp_path: Path) -> Workplace:
    return Workplace(Settings(data_dir=tmp_path, allow_insecure_hosts=True), store, clock, ledger=Unlimited())


@pytest.fixture
def posthog(tmp_path: Path, clock: Clock) -> Generator[object]:
    rows = [
        {
            "person_id": person,
            "event": "signed_up",
            "timestamp": (clock.now - timedelta(days=3)).isoformat(),
            "properties": json.dumps({"$set": carried}),
            "company": "acme-1" if person == "p-group" else None,
        }
        for person, carried in PEOPLE.items()
    ]
    named = {"$group_type": "company", "$group_key": "acme-1", "$group_set": {"name": "Acme Ltd", "website": "https://www.acme.example.com"}}
    rows.append(rows[-1] | {"event": "$groupidentify", "properties": json.dumps(named)})
    file = tmp_path / "events.jsonl"
    file.write_text("\n".join(json.dumps(row) for row in rows))
    with running_sandbox(file, group_types=("company",)) as running:
        yield running


def test_accounts_are_read_in_one_query_for_people_and_one_for_groups(place: Workplace, posthog, clock: Clock) -> None:
    async def read() -> tuple[knowing.Known, int]:
        connection = await connected(place, posthog)
        knowing.set_telling(place, "shop", knowing.Telling(owner="owner"), actor="ada")
        taxonomy = place.taxonomy(connection)
        before = place.reading.queries
        async with place.client(connection) as client:
            found = await knowing.about(place, client, connection.id, taxonomy, "person", list(PEOPLE))
        return found, place.reading.queries - before

    found, queries = asyncio.run(read())
    accounts = {person: found.told(Finding(unit_kind="person", unit_id=person, fired_at=clock.now)).account for person in PEOPLE}
    assert accounts["p-gmail"] is None
    assert accounts["p-acme"] == Account(domain="acme.co.uk")
    assert accounts["p-group"] == Account(key="acme-1", name="Acme Ltd", domain="example.com"), "the group's own domain, not that of the address"
    assert accounts["p-nothing"] is None
    assert found.belongs["p-acme"].owner == "ada@example.com"
    assert queries <= 2
