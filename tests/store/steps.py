"""Steps that many tests of the store begin with."""

from datetime import datetime
from typing import Literal

from beton.lifecycle import Action, Status
from beton.signals import Finding, Receipt
from beton.store import hypotheses
from beton.store.columns import Row
from beton.store.records import Connection, Destination, Hypothesis, NewHypothesis
from beton.store.store import Store


def new_hypothesis(
    connection: Connection, fingerprint: str = "f1", status: Literal[Status.DRAFT, Status.PROPOSED] = Status.PROPOSED
) -> NewHypothesis:
    return NewHypothesis(
        connection_id=connection.id,
        name=f"Invites {fingerprint}",
        fingerprint=fingerprint,
        definition={"clauses": [{"did": "invited", "first_days": 7}]},
        sentence="Invites somebody within 7 days.",
        type="converts",
        source="search",
        selected=True,
        status=status,
    )


def proposed(store: Store, connection: Connection, fingerprint: str = "f1") -> Hypothesis:
    with store.transaction() as tx:
        return hypotheses.add(tx, new_hypothesis(connection, fingerprint), actor="search")[0]


def approved(store: Store, connection: Connection, fingerprint: str = "f1") -> Hypothesis:
    return decide(store, proposed(store, connection, fingerprint), Action.APPROVE, clears=True)


def decide(store: Store, hypothesis: Hypothesis, action: Action, **more) -> Hypothesis:
    with store.transaction() as tx:
        return hypotheses.decide(tx, hypothesis.id, action, expected_row_version=hypothesis.row_version, actor="ada", **more)


def finding(unit_id: str, at: datetime, occurrence: int = 1) -> Finding:
    receipt = Receipt(event="invited", at=at, event_id="e-1")
    return Finding(unit_kind="person", unit_id=unit_id, fired_at=at, occurrence=occurrence, confidence=0.4, receipts=(receipt,))


def a_webhook(url: str, secret: str) -> Destination:
    """A destination as the store keeps it."""
    scheme, _, rest = url.partition("://")
    return Destination(address=f"{scheme}://{rest.partition('/')[0]}", settings={"url": url, "secret": secret, "headers": []})


def every_text(store: Store) -> str:
    """All that the database holds, as one text."""
    with store.reading() as tx:
        return "\n".join(str(row) for table in Row.metadata.tables.values() for row in tx.session.execute(table.select()))
