"""A PostHog project: checked before anything is kept."""

from __future__ import annotations

from pydantic import SecretStr

from beton.errors import PostHogDenied, PostHogError
from beton.posthog.codes import FAILURES
from beton.posthog.connection import ConnectionReport, check_connection
from beton.posthog.hosts import normalise_host
from beton.store import connections
from beton.store.records import Connection
from beton.work.workplace import Workplace, limits_for, to_posthog


async def check(place: Workplace, host: str, project_id: str, api_key: SecretStr, share: float) -> ConnectionReport:
    """Try host, key and every scope; nothing is written."""
    where = normalise_host(host, allow_insecure=place.settings.allow_insecure_hosts)
    limits = limits_for(where.cloud, share, place.clock)
    return await check_connection(where, project_id, api_key, limits, clock=place.clock, transport=to_posthog(place.settings))


async def connect(place: Workplace, *, name: str, host: str, project_id: str, api_key: SecretStr, share: float, actor: str) -> Connection:
    """Keep a project that answers; the first failing check is raised, and then nothing is kept."""
    report = await check(place, host, project_id, api_key, share)
    return keep(place, report, name=name, host=host, project_id=project_id, api_key=api_key, share=share, actor=actor)


def keep(
    place: Workplace, report: ConnectionReport, *, name: str, host: str, project_id: str, api_key: SecretStr, share: float, actor: str
) -> Connection:
    """Keep a project that was checked; raises the first check that failed."""
    if not report.ok:
        raise failure_of(report)
    where = normalise_host(host, allow_insecure=place.settings.allow_insecure_hosts)
    number = str(report.project.id) if report.project and project_id == "@current" else project_id
    with place.store.transaction() as tx:
        kept = connections.add(
            tx, name=name, host=str(where), project_id=number, api_key=api_key.get_secret_value(), actor=actor, share=share,
            timezone=report.project.timezone if report.project else "UTC",
            limits={"throttled_as": "cloud" if where.cloud or report.budgeted else "self_hosted"},
        )  # fmt: skip
        return connections.checked(tx, kept.id, "working")


async def replace_key(place: Workplace, connection: Connection, api_key: SecretStr, *, actor: str) -> ConnectionReport:
    """Put another key in place of the kept one, if it passes every check; raises the first that failed."""
    report = await check(place, connection.host, connection.project_id, api_key, connection.share)
    if not report.ok:
        raise failure_of(report)
    with place.store.transaction() as tx:
        connections.replace_key(tx, connection.id, api_key.get_secret_value(), actor=actor)
        connections.checked(tx, connection.id, "working")
    return report


async def recheck(place: Workplace, connection: Connection) -> ConnectionReport:
    """Check a kept connection again and remember how it went."""
    with place.store.reading() as tx:
        key = SecretStr(connections.api_key(tx, connection.id))
    report = await check(place, connection.host, connection.project_id, key, connection.share)
    problem = None if report.ok else str(failure_of(report))
    with place.store.transaction() as tx:
        connections.checked(tx, connection.id, "working" if report.ok else "failing", problem=problem)
    return report


def failure_of(report: ConnectionReport) -> PostHogError:
    """The first failed check that matters, as the error that it is."""
    first = next(check for check in report.failures if check.required)
    known = FAILURES.get(first.code or "")
    return (known.kind if known else PostHogDenied)(first.sentence, code=first.code, fix=first.fix)
