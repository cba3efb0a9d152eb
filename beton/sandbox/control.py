"""`/sandbox/*`: what tests turn. No key needed; none of it exists in PostHog."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from litestar import Router, get, post

from beton.sandbox.faults import fault_of
from beton.sandbox.injected import TheDesk, TheSandbox
from beton.sandbox.refusals import Refusal, invalid


@get("/requests", sync_to_thread=False)
def recorded_requests(sandbox: TheSandbox) -> dict[str, Any]:
    """Every request so far."""
    return {"requests": sandbox.recorder.listed()}


@post("/faults", status_code=200, sync_to_thread=False)
def queue_faults(sandbox: TheSandbox, data: Any) -> dict[str, Any]:
    """Queues a fault, a list of faults, or `{"faults": [...]}`."""
    items = data.get("faults", data) if isinstance(data, dict) else data
    for item in items if isinstance(items, list) else [items]:
        sandbox.faults.add(fault_of(item))
    return {"queued": len(sandbox.faults.queued)}


@post("/reset", status_code=200, sync_to_thread=False)
def reset(sandbox: TheSandbox, desk: TheDesk) -> dict[str, Any]:
    """Forgets faults, records, counted requests, the cache and the fixed clock. Events stay."""
    sandbox.faults.clear()
    sandbox.recorder.clear()
    sandbox.reset_limits()
    sandbox.fixed_now, sandbox.limits_follow = sandbox.settings.fixed_now, False
    desk.forget()
    return {"reset": True}


@post("/events", status_code=200, sync_to_thread=True)
def append_events(sandbox: TheSandbox, data: Any) -> dict[str, Any]:
    """Adds events: a list of rows, or `{"events": [...]}`."""
    rows = data.get("events") if isinstance(data, dict) else data
    if not isinstance(rows, list) or not rows:
        raise invalid("events must be a list with at least one row")
    return {"added": sandbox.append(rows)}


@post("/merge", status_code=200, sync_to_thread=True)
def merge_people(sandbox: TheSandbox, data: dict[str, Any]) -> dict[str, Any]:
    """Lets one person turn out to be another: `{"old", "new"}`, ids of persons."""
    sandbox.merge(str(data["old"]), str(data["new"]))
    return {"merged": True}


@post("/clock", status_code=200, sync_to_thread=False)
def set_clock(sandbox: TheSandbox, data: dict[str, Any]) -> dict[str, Any]:
    """Fixes the server's now() at `{"now": ISO}`; null lets it run again. With `"limits": true` the limits count by it too."""
    text = data.get("now")
    sandbox.fixed_now = None if text is None else _aware(str(text))
    follow = text is not None and bool(data.get("limits"))
    if follow != sandbox.limits_follow:
        sandbox.limits_follow = follow
        sandbox.reset_limits()  # counted by another clock until now
    return {"now": sandbox.now().isoformat()}


@post("/outside", status_code=200, sync_to_thread=False)
def use_outside(sandbox: TheSandbox, data: dict[str, Any]) -> dict[str, Any]:
    """Another tool of the same customer sends `{"queries": n}` with the same key, each of which reads `{"bytes": n}`; how many were refused."""
    refused = 0
    for _ in range(int(data["queries"])):
        try:
            sandbox.throttles.admit("query", sandbox.settings.keys[0].value)
            sandbox.budget.check()
            sandbox.budget.spend(int(data.get("bytes", 0)))
        except Refusal:
            refused += 1
    return {"refused": refused}


@post("/budget", status_code=200, sync_to_thread=False)
def set_budget(sandbox: TheSandbox, data: dict[str, Any]) -> dict[str, Any]:
    """Sets the bytes left in the read budget: `{"remaining": n}`."""
    sandbox.budget.drain(int(data["remaining"]))
    return {"remaining": int(data["remaining"])}


@post("/cohorts", status_code=200, sync_to_thread=True)
def add_cohort(sandbox: TheSandbox, data: dict[str, Any]) -> dict[str, Any]:
    """Adds a cohort: `{"name", "person_ids", "is_static"}`."""
    cohort = sandbox.add_cohort(str(data["name"]), [str(item) for item in data.get("person_ids", [])], bool(data.get("is_static", True)))
    return {"id": cohort.id}


@post("/test-accounts", status_code=200, sync_to_thread=False)
def set_test_accounts(sandbox: TheSandbox, data: list[dict[str, Any]]) -> dict[str, Any]:
    """Sets the project's filters for internal and test accounts."""
    sandbox.test_account_filters = tuple(data)
    return {"filters": len(data)}


def _aware(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise invalid("now must have a time zone")
    return moment


def control_router() -> Router:
    """The routes under /sandbox."""
    handlers = [
        recorded_requests,
        queue_faults,
        reset,
        append_events,
        merge_people,
        set_clock,
        use_outside,
        set_budget,
        add_cohort,
        set_test_accounts,
    ]
    return Router(path="/sandbox", route_handlers=handlers)
