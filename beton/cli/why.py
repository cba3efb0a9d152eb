"""`beton why`: how a proposal came about, from the record."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from cyclopts import Parameter

from beton.cli.opening import opened
from beton.cli.options import AsJson
from beton.cli.printing import number, print_json, table, write

MOST_SHOWN = 12


def why(hypothesis_id: Annotated[str, Parameter(help="The id of the hypothesis.")], /, *, as_json: AsJson = False) -> None:
    """Say why a hypothesis was proposed: what was tried, what was ruled out, who took part, what it cost."""
    with opened() as place:
        from beton.work.provenance import why as answer

        told = answer(place, hypothesis_id)
    if as_json:
        print_json(told)
        return
    write(f"{told['hypothesis_id']}  {told['hypothesis']}\n{told['sentence']}")
    for one in told["searches"]:
        _tell(one)
    for look in told["looks"]:
        counted = "counted" if look["counted"] else f"not counted: {look['withheld']['code']}"
        write(f"Looked at on {look['from']} to {look['until']} as version {look['version']} ({counted}, {look['run_id']}).")


def _tell(one: Mapping[str, Any]) -> None:
    model = one["model"]
    write(f"\n{one['run_id']}, {one['at']}: {one['sentence']}")
    write(f"  taxonomy {one['taxonomy_digest'][:12]}, window {one['window']['from']} to {one['window']['until']}")
    if model:
        cost, prompts = one["cost"], ", ".join(f"{name} {digest[:12]}" for name, digest in one["prompt_digests"].items())
        write(f"  model {model['name']} at {model['host'] or 'no address'}; prompts {prompts}; ended: {one['stopped_because']}")
        write(f"  {cost['calls']} calls, {cost['tokens_in'] + cost['tokens_out']:,} tokens, {cost['money']:.4f} money, {cost['seconds']:.0f} s")
        table(("tool", "outcome"), [(turn["tool"] or "–", turn["outcome"]) for turn in one["turns"][:MOST_SHOWN]])
    if one["words"]:
        write(f"  the model's words: {one['words']['sentence']} {one['words']['reason']}")
    if one["redundant_with"]:
        write(f"  overlaps {one['redundant_with']['hypothesis_id']}, which is live (Jaccard {number(one['redundant_with']['jaccard'])})")
    ruled_out = [(each["code"], each["sentence"]) for each in one["considered"][:MOST_SHOWN]]
    if ruled_out:
        table(("ruled out", "why"), ruled_out)
