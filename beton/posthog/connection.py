"""Is this connection good? One small request for each thing Beton needs, each with its own verdict.

`beton connect` asks before it stores a key, `beton doctor` asks again; both print the same report. A check never repeats a failed request
and stops early when the rest cannot succeed, so a revoked key costs one call.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import httpx
from pydantic import SecretStr

from beton.errors import PostHogBusy, PostHogDenied, PostHogError, PostHogUnreachable, PostHogWrongAddress
from beton.posthog.client import PostHogClient, Project
from beton.posthog.hosts import Host
from beton.posthog.limits import Clock, Limits, Sleep


@dataclass(frozen=True, slots=True)
class Check:
    """One thing tried: `ok` is None when it was not tried because an earlier check failed. `scope` is what the key needs for it."""

    name: str
    scope: str | None
    needed_for: str
    required: bool
    ok: bool | None
    code: str | None = None
    sentence: str = ""
    fix: str = ""


@dataclass(frozen=True, slots=True)
class ConnectionReport:
    """All checks in the order they were made; `project` when it could be read; `curl` repeats the decisive request by hand, key masked."""

    checks: tuple[Check, ...]
    project: Project | None
    curl: str
    budgeted: bool = False
    """Whether the server told its reading budget: then it throttles as PostHog Cloud does, wherever it stands."""

    @property
    def ok(self) -> bool:
        """Whether Beton can work with this connection."""
        return all(check.ok for check in self.checks if check.required)

    @property
    def failures(self) -> tuple[Check, ...]:
        """The checks that were tried and failed, optional ones included."""
        return tuple(check for check in self.checks if check.ok is False)


@dataclass(frozen=True, slots=True)
class _Step:
    name: str
    scope: str
    needed_for: str
    required: bool
    ask: Callable[[PostHogClient], Awaitable[object]]


def _first(path: str) -> Callable[[PostHogClient], Awaitable[object]]:
    return lambda client: client.get(path, {"limit": 1})


_STEPS = (
    _Step("project", "project:read", "the project's name and time zone", True, lambda client: client.project()),
    _Step(
        "queries", "query:read", "volumes, histories and everything that is tested", True, lambda client: client.query("SELECT 1", name="beton check")
    ),
    _Step("events", "event_definition:read", "the names of events", True, _first("event_definitions/")),
    _Step("properties", "property_definition:read", "the names and types of properties", True, _first("property_definitions/")),
    _Step("groups", "group:read", "accounts, if the project has group types", True, lambda client: client.get("groups_types/")),
    _Step("cohorts", "cohort:read", "hypotheses about cohorts", False, _first("cohorts/")),
)


async def check_connection(
    host: Host,
    project_id: int | str,
    api_key: SecretStr,
    limits: Limits,
    *,
    clock: Clock,
    transport: httpx.AsyncBaseTransport | None = None,
    sleep: Sleep = asyncio.sleep,
) -> ConnectionReport:
    """Try every surface once. Never raises a PostHogError: what fails is in the report."""
    curl = curl_line(host, project_id)
    try:
        client = PostHogClient(host, project_id, api_key, limits, transport=transport, clock=clock, sleep=sleep, attempts=1)
    except PostHogDenied as failure:
        return ConnectionReport((_failed_key(failure), *map(_skipped, _STEPS)), None, curl)
    checks = [Check("key", None, "everything", True, True, sentence="The key is of a kind that can read.")]
    async with client:
        found: list[Project] = []
        checks += [check async for check in _walk(client, found)]
    budgeted = (await limits.describe()).bytes_left is not None
    return ConnectionReport(tuple(checks), found[0] if found else None, curl, budgeted)


async def _walk(client: PostHogClient, found: list[Project]) -> AsyncIterator[Check]:
    stopped = False
    for step in _STEPS:
        if stopped:
            yield _skipped(step)
            continue
        try:
            got = await step.ask(client)
        except PostHogError as failure:
            stopped = _hopeless(failure)
            yield _failed(step, failure)
        else:
            if isinstance(got, Project):
                found.append(got)
            yield Check(step.name, step.scope, step.needed_for, step.required, True, sentence=f"Beton can read {step.needed_for}.")


def _hopeless(failure: PostHogError) -> bool:
    """Whether the other checks must fail as well. A missing scope concerns one surface; so do a server's own error and a missing endpoint."""
    if isinstance(failure, (PostHogUnreachable, PostHogBusy)):
        return failure.code != "posthog.server_error"
    if isinstance(failure, PostHogWrongAddress):
        return failure.code != "posthog.endpoint_not_found"
    return isinstance(failure, PostHogDenied) and failure.code not in ("posthog.scope_missing", "posthog.forbidden", "posthog.quota")


def _failed(step: _Step, failure: PostHogError) -> Check:
    return Check(step.name, step.scope, step.needed_for, step.required, False, failure.code, failure.message, failure.fix)


def _failed_key(failure: PostHogError) -> Check:
    return Check("key", None, "everything", True, False, failure.code, failure.message, failure.fix)


def _skipped(step: _Step) -> Check:
    return Check(step.name, step.scope, step.needed_for, step.required, None, sentence="Not tried, because an earlier check failed.")


def curl_line(host: Host, project_id: int | str) -> str:
    """The query check as one shell line, for a person who wants to see PostHog's own answer; the key is left for them to fill in."""
    body = json.dumps({"query": {"kind": "HogQLQuery", "query": "SELECT 1"}, "refresh": "force_blocking", "name": "beton check"})
    address = host.url(f"projects/{project_id}/query/")
    return f"curl -sS -X POST '{address}' -H 'Authorization: Bearer phx_…' -H 'Content-Type: application/json' -d '{body}'"
