"""Which routes a new signal takes, and whose it is: decided once, in the transaction that writes it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

import sqlalchemy as sa
from sqlmodel import col

from beton.store import reach
from beton.store.delivery_tables import RouteRow
from beton.store.holding import Fresh, cooled
from beton.store.people_tables import AccountRow, MemberRow
from beton.store.route_rules import Owners, Rules, Turn
from beton.store.store import Transaction
from beton.store.tables import SignalRow

WEEK = timedelta(days=7)
FILTER = "filter"
"""Why a route passes over a signal that it does not ask for."""


@dataclass(frozen=True)
class Way:
    """An enabled route and its rules."""

    id: str
    rules: Rules


@dataclass
class Directed:
    """What was decided: signal id → routes, → routes that passed it over and why, → whose it is and after how many hours it is another's."""

    along: dict[str, list[str]] = field(default_factory=dict)
    passed_over: dict[str, dict[str, str]] = field(default_factory=dict)
    assigned: dict[str, str] = field(default_factory=dict)
    hours: dict[str, float] = field(default_factory=dict)


def ways(tx: Transaction, route_ids: Collection[str] | None = None) -> list[Way]:
    """All enabled routes, or those named, by name."""
    query = sa.select(col(RouteRow.id), col(RouteRow.rules)).where(col(RouteRow.enabled))
    if route_ids is not None:
        query = query.where(col(RouteRow.id).in_(route_ids))
    return [Way(row_id, Rules.model_validate(rules)) for row_id, rules in tx.session.execute(query.order_by(col(RouteRow.name)))]


def direct(tx: Transaction, hypothesis_id: str, fresh: Sequence[Fresh], open_ways: Sequence[Way], *, besides: Collection[str]) -> Directed:
    """Choose for each of these signals, none of which is held. `besides`: all signals that are being written now."""
    found = Directed({one.id: [] for one in fresh})
    found.passed_over = {one.id: {} for one in fresh}
    owners: dict[str, Owners] = {}
    for way in open_ways:
        wanted = [one for one in fresh if _takes(way, hypothesis_id, one)]
        late = cooled(tx, way.rules.cooldown, wanted, besides=besides, route_id=way.id)
        for one in fresh:
            found.passed_over[one.id][way.id] = late.get(one.id, FILTER)
        for one in (each for each in wanted if each.id not in late):
            found.along[one.id].append(way.id)
            del found.passed_over[one.id][way.id]
            if way.rules.owners.rule != "nobody":
                owners.setdefault(one.id, way.rules.owners)
    _assign(tx, fresh, owners, found)
    return found


def _takes(way: Way, hypothesis_id: str, one: Fresh) -> bool:
    return way.rules.passes.take(
        hypothesis_id=hypothesis_id, type=one.signal_type, unit_kind=one.unit_kind, confidence=one.confidence, segments=one.segments
    )


def _assign(tx: Transaction, fresh: Sequence[Fresh], owners: Mapping[str, Owners], found: Directed) -> None:
    """By the first of a signal's routes, by name, that has a rule."""
    if not owners:
        return
    reach.locked_workspace(tx)  # turns are counted over all routes
    people, had = members_by_email(tx), turns_taken(tx)
    here = set(people.values())
    for one in sorted(fresh, key=lambda each: (each.fired_at, each.id)):
        rule = owners.get(one.id)
        if rule is None:
            continue
        named = people.get((one.crm_owner or "").lower()) if rule.rule == "crm_owner" else None
        chosen = named or whose_turn([turn for turn in rule.turns if turn.member in here], had)
        if chosen is not None:
            had[chosen] += 1
            found.assigned[one.id] = chosen
            if rule.escalate_after_hours is not None:
                found.hours[one.id] = rule.escalate_after_hours


def whose_turn(turns: Sequence[Turn], had: Mapping[str, int]) -> str | None:
    """Who has had the smallest part of what they can take this week, in the order of the list; `None` when all have had theirs."""
    free = [turn for turn in turns if had.get(turn.member, 0) < turn.per_week]
    return min(free, key=lambda turn: had.get(turn.member, 0) / turn.per_week).member if free else None


def turns_taken(tx: Transaction) -> Counter[str]:
    """Member → signals that were given to them in the last seven days."""
    query = sa.select(col(SignalRow.assigned_id), sa.func.count()).where(
        col(SignalRow.assigned_id).is_not(None), col(SignalRow.assigned_at) > tx.now - WEEK
    )
    return Counter({str(member): number for member, number in tx.session.execute(query.group_by(col(SignalRow.assigned_id)))})


def members_by_email(tx: Transaction) -> dict[str, str]:
    """E-mail address in small letters → the id of the member who has it."""
    query = sa.select(col(AccountRow.email), col(MemberRow.id)).join(MemberRow, col(MemberRow.account_id) == col(AccountRow.id))
    return {email.lower(): member for email, member in tx.session.execute(query)}
