"""Whom units belong to: the group and the e-mail address of persons, names and domains of groups, and who owns them.

Asked only about units that have just fired, in at most two queries; what is answered is told on and kept nowhere but in a signal's sealed account.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from beton.posthog.client import PostHogClient
from beton.posthog.hogql import ROWS, Query, between

AT_ONCE = 5_000
"""Units in a query."""


@dataclass(frozen=True)
class Asked:
    """Which properties tell it; `None` where none does. `group` is PostHog's index of the group type that is the account."""

    group: int | None = None
    email: str | None = None
    name: str | None = None
    domain: str | None = None
    owner: str | None = None
    """A property of the group, or of the person where the account is no group, with the e-mail address of whom the CRM names."""


@dataclass(frozen=True)
class Belongs:
    """What is known of one unit."""

    group_key: str | None = None
    name: str | None = None
    domain: str | None = None
    email: str | None = None
    owner: str | None = None


class BelongingReader:
    """Reads what `asked` names, as of today."""

    def __init__(self, client: PostHogClient, asked: Asked) -> None:
        self.client, self.asked = client, asked

    async def persons(self, units: Sequence[str], start: int, end: int) -> dict[str, Belongs]:
        """By person id, from their events between two instants in microseconds: the last group that one carried, and their own properties."""
        if self.asked.group is None and self.asked.email is None and self.asked.owner is None:
            return {}
        found: dict[str, Belongs] = {}
        for some in _pieces(units):
            query = Query()
            text = (
                f"SELECT toString(person_id) AS u, {self._last_group()} AS g, {_any(query, 'person.properties', self.asked.email)} AS e, "
                f"{_any(query, 'person.properties', self.asked.owner)} AS o FROM events "
                f"WHERE {between(query, start, end)} AND toString(person_id) IN {query.of(some)} GROUP BY u LIMIT {ROWS}"
            )
            result = await self.client.query(text, query.values, name="accounts of new signals")
            found |= {unit: Belongs(group or None, None, None, email or None, owner or None) for unit, group, email, owner in result.rows}
        groups = await self.groups({one.group_key for one in found.values() if one.group_key})
        return {unit: _joined(one, groups.get(one.group_key or "")) for unit, one in found.items()}

    async def groups(self, keys: Collection[str]) -> dict[str, Belongs]:
        """By group key: name, domain and owner, as their properties are."""
        wanted = self.asked.name, self.asked.domain, self.asked.owner
        if self.asked.group is None or not keys or not any(wanted):
            return {key: Belongs(group_key=key) for key in keys}
        found = {key: Belongs(group_key=key) for key in keys}
        for some in _pieces(sorted(keys)):
            query = Query()
            fields = ", ".join(f"{_any(query, 'properties', name)} AS c{number}" for number, name in enumerate(wanted))
            which = f"index = {query.of(self.asked.group)} AND key IN {query.of(some)}"
            text = f"SELECT key AS k, {fields} FROM groups WHERE {which} GROUP BY k LIMIT {ROWS}"
            result = await self.client.query(text, query.values, name="names of accounts")
            found |= {key: Belongs(key, name or None, domain or None, None, owner or None) for key, name, domain, owner in result.rows}
        return found

    def _last_group(self) -> str:
        if self.asked.group is None:
            return "''"
        column = f"`$group_{int(self.asked.group)}`"
        return f"argMaxIf({column}, timestamp, {column} != '')"


def _any(query: Query, column: str, name: str | None) -> str:
    return "''" if name is None else f"any(JSONExtractString({column}, {query.of(name)}))"


def _joined(one: Belongs, group: Belongs | None) -> Belongs:
    if group is None:
        return one
    return replace(one, name=group.name, domain=group.domain, owner=group.owner or one.owner)


def _pieces(units: Sequence[str]) -> list[list[str]]:
    return [list(units[begin : begin + AT_ONCE]) for begin in range(0, len(units), AT_ONCE)]
