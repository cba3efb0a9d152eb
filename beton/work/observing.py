"""The taxonomy of a project: read, kept in place of the former snapshot, and compared with it."""

from __future__ import annotations

from datetime import datetime

from backtest.taxonomy import Taxonomy, TaxonomyChange
from beton.posthog.taxonomy import read_taxonomy
from beton.store import taxonomies
from beton.store.records import Connection
from beton.work.workplace import Workplace


async def observe(
    place: Workplace, connection: Connection, *, sample_values: bool = True, as_of: datetime | None = None
) -> tuple[Taxonomy, TaxonomyChange]:
    """Read the taxonomy with the volumes before `as_of` (now unless given).

    Sampled values of event properties are kept sealed and for thirty days; those of persons are never sampled.
    """
    async with place.client(connection) as client:
        taxonomy = await read_taxonomy(client, as_of or place.clock(), sample_values=sample_values)
    plain = taxonomy.model_copy(update={"properties": tuple(one.model_copy(update={"values": ()}) for one in taxonomy.properties)})
    samples = {one.name: list(one.values) for one in taxonomy.properties if one.values}
    with place.store.transaction() as tx:
        former = taxonomies.latest(tx, connection.id)
        taxonomies.save(tx, connection.id, plain.model_dump(mode="json"), samples or None)
    change = taxonomy.changes_since(Taxonomy.model_validate(former.content)) if former else TaxonomyChange()
    return taxonomy, change
