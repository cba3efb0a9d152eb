"""What is known of units that have just fired: their account, whose it is, and which segments they are in.

A person's account is the last group that one of their events carried, else the company's domain of their e-mail address; an account is its own.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from pydantic import Field

from backtest import ReadPlan, Window
from backtest.taxonomy import Taxonomy
from beton.posthog.belonging import Asked, BelongingReader, Belongs
from beton.posthog.client import PostHogClient
from beton.posthog.firsts import FirstsReader
from beton.signals import Account, Finding, UnitKind, Value
from beton.store import directing, workspaces
from beton.store.store import Transaction
from beton.work.companies import domain_of, registrable
from beton.work.workplace import Workplace, microseconds

LOOKED_BACK = timedelta(days=90)
"""How far back a person's events are looked at for their group."""

EMAILS = ("email", "$email", "Email", "email_address")
NAMES = ("name", "Name", "company_name", "organization_name")
DOMAINS = ("domain", "website", "company_domain", "email_domain")


class Telling(Value):
    """Which properties of a project tell accounts and owners, as a person has set it; what is left open is found by usual names."""

    email: str | None = Field(default=None, max_length=200)
    """A property of persons; empty: none is asked for."""
    group_type: str | None = Field(default=None, max_length=200)
    """The group type that is the account; empty: none."""
    name: str | None = Field(default=None, max_length=200)
    domain: str | None = Field(default=None, max_length=200)
    owner: str | None = Field(default=None, max_length=200)
    """A property with the e-mail address of whom the CRM names as owner; there is no usual name."""


def setting(connection_id: str) -> str:
    """The name under which a workspace keeps how accounts of a connection are told."""
    return f"accounts of {connection_id}"


def telling(tx: Transaction, connection_id: str) -> Telling:
    """What has been set."""
    return Telling.model_validate(workspaces.get(tx).settings.get(setting(connection_id)) or {})


def set_telling(place: Workplace, connection: str, wanted: Telling, *, actor: str) -> Telling:
    """Set how accounts of a connection are told."""
    found = place.connection(connection)
    with place.store.transaction() as tx:
        workspaces.choose(tx, setting(found.id), wanted.model_dump(exclude_none=True) or None, actor=actor)
    return wanted


def asked_of(wanted: Telling, taxonomy: Taxonomy) -> Asked:
    """The properties to ask for: those that were set, else those with usual names that the project has."""
    types = {one.name: one.index for one in taxonomy.group_types}
    group_type = next(iter(sorted(types, key=lambda name: types[name])), None) if wanted.group_type is None else wanted.group_type
    persons = {one.name for one in taxonomy.properties if one.kind == "person"}
    groups = {one.name for one in taxonomy.properties if one.kind == "group" and one.group_type == group_type}
    return Asked(
        group=types.get(group_type or ""),
        email=_chosen(wanted.email, EMAILS, persons),
        name=_chosen(wanted.name, NAMES, groups),
        domain=_chosen(wanted.domain, DOMAINS, groups),
        owner=wanted.owner or None,
    )


def _chosen(wanted: str | None, usual: Sequence[str], there: set[str]) -> str | None:
    if wanted is not None:
        return wanted or None
    return next((name for name in usual if name in there), None)


@dataclass(frozen=True)
class Known:
    """What was read of some units."""

    belongs: Mapping[str, Belongs]
    members: Mapping[str, frozenset[str]]
    """Those cohorts that routes ask for, with who is in them."""

    def told(self, finding: Finding) -> Finding:
        """A finding with what is known of its unit."""
        one = self.belongs.get(finding.unit_id, Belongs())
        key = finding.unit_id if finding.unit_kind == "account" else one.group_key
        domain = registrable(one.domain) if one.domain else domain_of(one.email)
        account = Account(key=key, name=one.name, domain=domain) if key or domain else None
        segments = frozenset(cohort for cohort, who in self.members.items() if finding.unit_id in who)
        return finding.model_copy(update={"account": account, "email": one.email, "crm_owner": one.owner, "segments": segments})


async def about(
    place: Workplace, client: PostHogClient, connection_id: str, taxonomy: Taxonomy, unit_kind: UnitKind, units: Collection[str]
) -> Known:
    """What is known of units that have just fired: at most two queries, and one for each cohort that a route asks for; none without units."""
    if not units:
        return Known({}, {})
    with place.store.reading() as tx:
        asked = asked_of(telling(tx, connection_id), taxonomy)
        cohorts = sorted({way.rules.passes.cohort for way in directing.ways(tx) if way.rules.passes.cohort})
    reader, now = BelongingReader(client, asked), place.clock()
    if unit_kind == "account":
        return Known(await reader.groups(sorted(units)), {})
    belongs = await reader.persons(sorted(units), microseconds(now - LOOKED_BACK), microseconds(now))
    firsts = FirstsReader(client, ReadPlan("person", Window(0, 1)), {}, None, None)
    return Known(belongs, {cohort: frozenset(await firsts.cohort(cohort)) for cohort in cohorts})
