"""`beton facts`: what people know about their business, told to a model that takes part in searches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from beton.cli.opening import actor, choose_connection, opened
from beton.cli.options import AsJson
from beton.cli.printing import print_json, table, write

if TYPE_CHECKING:
    from beton.store.questions import Fact

OfConnection = Annotated[str | None, Parameter(name="--connection", help="The connection; may be left out where there is only one.")]


def add(text: Annotated[str, Parameter(help="One sentence.")], /, *, connection: OfConnection = None, as_json: AsJson = False) -> None:
    """Write a fact about the business down."""
    with opened() as place:
        from beton.store import questions

        chosen = choose_connection(place, connection)
        with place.store.transaction() as tx:
            fact = questions.add_fact(tx, chosen.id, text, actor=actor())
    if as_json:
        print_json(_json(fact))
    else:
        write(f"{fact.id}  {fact.text}")


def show(*, connection: OfConnection = None, as_json: AsJson = False) -> None:
    """List the facts of a connection."""
    with opened() as place:
        from beton.store import questions

        chosen = choose_connection(place, connection)
        with place.store.reading() as tx:
            found = questions.facts(tx, chosen.id)
    if as_json:
        for one in found:
            print_json(_json(one))
        return
    table(("id", "fact", "by"), [(one.id, one.text, one.written_by) for one in found])


def remove(fact_id: Annotated[str, Parameter(help="The id of the fact.")], /, *, as_json: AsJson = False) -> None:
    """Forget a fact."""
    with opened() as place:
        from beton.store import questions

        with place.store.transaction() as tx:
            fact = questions.remove_fact(tx, fact_id, actor=actor())
    if as_json:
        print_json(_json(fact))
    else:
        write(f"Removed: {fact.text}")


def _json(fact: Fact) -> dict[str, Any]:
    return {"fact_id": fact.id} | fact.model_dump(mode="json", exclude={"id"})
