"""Runs pysubgroup in its own environment, as it pins an old numpy: `python subgroup_runner.py TABLE RULES`. Imports nothing of this project.

TABLE is an .npz with `table` (looks times columns, counts) and `hit`; RULES becomes a JSON list of rules, each a list of [column, least].
"""

from __future__ import annotations

import json
import sys

CUTS = (1, 2, 3, 5)
RULES, DEPTH, BEAM = 30, 2, 30
WEIGHTS = (0.5, 1.0)  # of a rule's size against its precision; 1 is weighted relative accuracy


def main(table: str, rules: str) -> None:
    import numpy
    import pandas
    import pysubgroup  # ty: ignore[import-not-found]

    given = numpy.load(table)
    counts = given["table"]
    frame = pandas.DataFrame(counts, columns=[str(place) for place in range(counts.shape[1])])
    frame["hit"] = given["hit"]
    selectors = [
        pysubgroup.IntervalSelector(str(place), cut, float("inf"))
        for place in range(counts.shape[1])
        for cut in CUTS
        if 20 <= (counts[:, place] >= cut).sum() <= 0.95 * len(counts)
    ]
    told = []
    for weight in WEIGHTS:
        task = pysubgroup.SubgroupDiscoveryTask(
            frame, pysubgroup.BinaryTarget("hit", True), selectors, result_set_size=RULES, depth=DEPTH, qf=pysubgroup.StandardQF(weight)
        )
        found = pysubgroup.BeamSearch(beam_width=BEAM).execute(task)
        told += [[[int(one.attribute_name), float(one.lower_bound)] for one in rule.selectors] for _, rule, _ in found.results]
    with open(rules, "w", encoding="utf-8") as file:
        json.dump(told, file)


if __name__ == "__main__":
    main(*sys.argv[1:])
