"""The taxonomy of a project: read, kept in place of the former snapshot, and compared with it."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from backtest.breakage import Use
from backtest.taxonomy import Taxonomy, TaxonomyChange
from beton.posthog.taxonomy import read_taxonomy
from beton.store import taxonomies
from beton.store.records import Connection
from beton.work import breaking
from beton.work.workplace import Workplace


async def observe(
    place: Workplace, connection: Connection, *, sample_values: bool = True, as_of: datetime | None = None, quiet: Collection[Use] | None = None
) -> tuple[Taxonomy, TaxonomyChange]:
    """Read the taxonomy with the volumes before `as_of` (now unless given), and note which names of live hypotheses broke; `quiet` are those that are
    known to have stopped coming.

    Sampled values of event properties are kept sealed and for thirty days; those of persons are never sampled.
    """
    async with place.client(connection) as client:
        taxonomy = await read_taxonomy(client, as_of or place.clock(), sample_values=sample_values)
    plain = taxonomy.model_copy(update={"properties": tuple(one.model_copy(update={"values": ()}) for one in taxonomy.properties)})
    samples = {one.name: list(one.values) for one in taxonomy.properties if one.values}
    with place.store.transaction() as tx:
        former = taxonomies.latest(tx, connection.id)
        taxonomies.save(tx, connection.id, plain.model_dump(mode="json"), samples or None)
        then = Taxonomy.model_validate(former.content) if former else None
        breaking.note(tx, connection, then, plain, quiet)
    return taxonomy, taxonomy.changes_since(then) if then else TaxonomyChange()


async def survey(place: Workplace, connection: Connection) -> Taxonomy:
    """What is done several times a day: see whether the names of live hypotheses still come, and read the taxonomy anew."""
    quiet = await breaking.quiet_names(place, connection)
    with place.store.reading() as tx:
        sampled = taxonomies.samples(tx, connection.id) is not None
    return (await observe(place, connection, sample_values=sampled, quiet=quiet))[0]
