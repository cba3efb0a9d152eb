"""What may be kept no longer, removed once a day: `docs/reference/data.md` says how long each class of data may stay."""

from __future__ import annotations

from datetime import timedelta

from beton.lifecycle import Status
from beton.store import (
    audit,
    connections,
    deliveries,
    hypotheses,
    inbound_events,
    kept_answers,
    ledger,
    live,
    reach,
    send_limits,
    sessions,
    taxonomies,
)
from beton.store.rotation import reseal_all
from beton.store.store import Transaction
from beton.work.live_state import PEOPLE, scopes_of, starts_of
from beton.work.workplace import Workplace

LIVING = (Status.APPROVED, Status.PAUSED)
"""The statuses in which the live state may still be needed."""


def tidy(place: Workplace) -> dict[str, int]:
    """Remove what is too old, and the live state of what is live no more; bring secrets under the present key. How much of each there was."""
    chosen = place.settings
    with place.store.transaction() as tx:
        done = {
            "delivery_attempts": deliveries.drop_old_attempts(tx, timedelta(days=chosen.keep_answers_days)),
            "sampled_values": taxonomies.drop_expired_samples(tx),
            "requests": ledger.drop_old_requests(tx, tx.now),
            "live_state": _drop_ended(tx),
            "sessions": sessions.drop_ended(tx, timedelta(hours=chosen.session_idle_hours)),
            "kept_answers": kept_answers.drop_old(tx),
            "snoozes": reach.drop_ended(tx),
            "send_limits": send_limits.drop_unused(tx),
            "inbound_bodies": inbound_events.drop_bodies(tx, chosen.inbound_body_days),
            "inbound_events": inbound_events.drop_old(tx, timedelta(days=chosen.keep_ids_days)),
            "audit_entries": audit.drop_old(tx, timedelta(days=chosen.keep_audit_days)),
        }
    return done | {"resealed": reseal_all(place.store) if place.store.sealer.has_former_keys else 0}


def _drop_ended(tx: Transaction) -> int:
    dropped = 0
    for connection in connections.every(tx):
        living = hypotheses.every(tx, connection_id=connection.id, statuses=LIVING)
        scopes = [scope for row in living for scope in (PEOPLE, *scopes_of(row), *starts_of(row))]
        dropped += live.keep_only(tx, connection.id, scopes, [(row.id, row.version) for row in living])
    return dropped
