"""What marks the maker's own and test traffic: PostHog's filters, flags by their names, and hosts that only developers see."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from agent.suggestions import Suggestion
from agent.vocabulary import tokens
from backtest.matching import Comparison, Op
from backtest.taxonomy import Taxonomy

_FLAGS = {"internal", "intern", "staff", "employee", "test", "testuser", "testaccount", "internaluser", "demo", "bot"}
_HOSTS = ("$host", "host", "hostname")
_OURS = ("localhost", "127.0.0.1", "0.0.0.0", "::1")  # noqa: S104 - names to compare with, not an address to listen on
_ENDINGS = (".test", ".local", ".localhost", ".internal", ".invalid")
_PARTS = frozenset({"staging", "stage", "dev", "preview", "qa", "test"})


def internal_traffic(taxonomy: Taxonomy, filters: Sequence[Mapping[str, Any]] = ()) -> tuple[Suggestion, ...]:
    """What marks the maker's own and test traffic. `where` are comparisons that an entry event has to meet to count; empty where none can say so."""
    found = [*_posthogs(filters), *_flags(taxonomy), *_hosts(taxonomy)]
    emails = [one for one in taxonomy.properties if one.kind == "person" and tokens(one.name)[-1:] in (("email",), ("mail",))]
    if emails:
        sentence = (
            f"Persons have {emails[0].name!r}, which may tell colleagues and .test domains; it is as of today, so it cannot filter the past here."
        )
        found.append(Suggestion("internal", "email", sentence, 0.2, property=emails[0].name))
    return tuple(sorted(found, key=lambda one: -one.score))


def _flags(taxonomy: Taxonomy) -> Iterable[Suggestion]:
    for one in taxonomy.properties:
        if one.kind == "event" and "".join(tokens(one.name)).removeprefix("is") in _FLAGS and one.type in ("boolean", "unknown", "string"):
            where = (Comparison(property=(one.name,), op=Op.not_equals, value=True),)
            yield Suggestion("internal", "flag", f"{one.name!r} is the name of a mark for own traffic.", 0.9, property=one.name, where=where)


def _hosts(taxonomy: Taxonomy) -> Iterable[Suggestion]:
    for name in _HOSTS:
        known = taxonomy.property(name)
        if known is None:
            continue
        ours = [value for value in known.values if _is_ours(value)]
        if ours:
            where = tuple(Comparison(property=(name,), op=Op.not_equals, value=value) for value in ours)
            sentence = f"{name!r} is sometimes {', '.join(map(repr, ours[:5]))}: machines of developers and tests."
            yield Suggestion("internal", "host", sentence, 0.8, property=name, where=where)
        elif not known.values:
            yield Suggestion("internal", "host_unsampled", f"{name!r} may tell local machines; its values were not sampled.", 0.1, property=name)


def _is_ours(host: str) -> bool:
    plain = host.casefold().partition("://")[2] or host.casefold()
    name = plain.partition("/")[0]
    name = name if name.startswith(("::", "[")) else name.partition(":")[0]
    return name in _OURS or name.endswith(_ENDINGS) or bool(_PARTS & set(name.split(".")[0].split("-")))


def _posthogs(filters: Sequence[Mapping[str, Any]]) -> Iterable[Suggestion]:
    """The project's own filters against test accounts, as far as the language can say them of an event."""
    for one in filters:
        key, value = str(one.get("key", "")), one.get("value")
        told = f"PostHog's filter for test accounts: {key!r} {one.get('operator', 'exact')} {value!r}."
        values = value if isinstance(value, list) else [value]
        plain = all(isinstance(each, str | bool | int | float) for each in values)
        if one.get("type") == "event" and one.get("operator") == "is_not" and key and plain:
            where = tuple(Comparison(property=(key,), op=Op.not_equals, value=each) for each in values)
            yield Suggestion("internal", "posthog_filter", told, 1.0, property=key, where=where)
        else:
            said = f"{told} It cannot be asked of the entry event, so it filters nothing here."
            yield Suggestion("internal", "posthog_filter_unused", said, 0.15, property=key or None)
