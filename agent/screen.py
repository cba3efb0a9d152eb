"""The screen: everything that is tried, by matrix products within strata of equal exposure (numbers section 14).

Singles are sampled from the engine's intervals, ordered pairs counted in one pass, pairs and triples multiplied out. All are compared by
Cochran-Mantel-Haenszel z; whatever could matter is tested exactly in the same strata. A refinement is kept only where it is surely better than
each of its parents (Webb 2007). Everything that is evaluated is counted, by kind, and each kind has its share of the false finds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np

from agent.conditions import FEWEST_UNITS, Question
from agent.explained import Explained
from agent.parts import Part, Parts
from agent.sequences import GAPS, Ordered, ordered_pairs, timeline
from agent.tables import Design, Matrix, Sampled, Table, design_of, grid_of, sampled, stays_true, surely_better, table_of
from agent.taste import price, usual
from backtest import Fires, Hypothesis
from backtest.durations import Duration
from backtest.engine import WORTH_COMPILING
from backtest.intervals import Flags, Ints
from backtest.language import Clause, Did
from backtest.language import Sequence as InOrder
from backtest.mantel_haenszel import cmh_z
from backtest.matching import EventMatch
from backtest.proportions import Closed
from backtest.stratified import Floats, Strata, log_p_values, minimum_attainable_log_p

Progress = Callable[[int, int, str], None]

WIDEST = 0.95
"""Conditions that nearly everyone meets tell nobody apart."""

MIGHT = 1.0
"""z from which a single condition is tested exactly; below, the normal tail is as good as useless."""

MUST = 3.0
"""z that a combination needs to be looked at: m is large, so less could never be significant."""

SURELY = 2.33
"""z of a refinement within each of its parents: one-sided 1 %."""

MOST_PAIRED = 400
MOST_KEPT = 300
"""Combinations of one kind that are tested exactly: those with the largest z."""

BEAM = 50


class Kind(StrEnum):
    single = "single conditions"
    ordered = "one event after another"
    pair = "pairs"
    triple = "triples"


@dataclass(frozen=True)
class Entry:
    """One candidate with its closed counts by stratum."""

    kind: Kind
    clauses: tuple[Clause, ...]
    table: Table
    fired: Ints
    hits: Ints
    z: float
    log_p: float
    hypothesis: Hypothesis

    @property
    def strata(self) -> Strata:
        return Strata(self.table.units, self.table.converters, self.fired, self.hits)

    @property
    def closed(self) -> Closed:
        n, tp, k = int(self.fired.sum()), int(self.hits.sum()), int(self.table.converted.sum())
        return Closed(tp, n - tp, k - tp, len(self.table) - n - k + tp)


@dataclass
class Screen:
    """What is tried in one search, kind after kind. `tried` counts by kind; `supports` holds the rows in which something is true, by table."""

    question: Question
    parts: Parts
    progress: Progress
    tables: dict[Design, Table] = field(default_factory=dict)
    entries: list[Entry] = field(default_factory=list)
    tried: dict[Kind, int] = field(default_factory=lambda: dict.fromkeys(Kind, 0))
    least_log_p: list[Floats] = field(default_factory=list)
    supports: list[tuple[Ints, Ints, Table]] = field(default_factory=list)
    columns: dict[Design, list[Sampled]] = field(default_factory=dict)
    models: dict[int, Explained] = field(default_factory=dict)
    tick: Callable[[], None] = lambda: None
    """Says that work goes on."""

    def table(self, shape: Hypothesis) -> Table:
        design = design_of(shape)
        if design not in self.tables:
            self.tables[design] = table_of(self.parts.of(shape, confirming=False), shape)
        return self.tables[design]

    # --- single conditions -------------------------------------------------------------------------------------------

    def singles(self, hypotheses: Sequence[Hypothesis]) -> None:
        self.tried[Kind.single] += len(hypotheses)
        groups: dict[Design, list[Hypothesis]] = {}
        for one in hypotheses:
            groups.setdefault(design_of(one), []).append(one)
        for batch in groups.values():
            part = self.table(batch[0]).part
            part.compiled = len(hypotheses) * len(part.log.at) >= WORTH_COMPILING
        grids = {design: grid_of(self.table(batch[0]).part, batch[0]) for design, batch in groups.items() if not design[0]}
        done = 0
        for design, batch in groups.items():
            table, before = self.table(batch[0]), done
            shared = sorted({at for (_, back, only), grid in grids.items() if back >= design[1] and only == design[2] for at in grid})

            def instants(one: Hypothesis, own: Sequence[int] = grids.get(design, ()), shared: Sequence[int] = shared) -> Sequence[int]:
                return shared if usual(one.clauses[0]) else own

            self.tick = lambda before=before: self.progress(before, len(hypotheses), Kind.single.value)

            def tell(new: int, before: int = before) -> None:
                self.progress(before + new, len(hypotheses), Kind.single.value)

            columns = sampled(table.part, batch, instants, tell)
            done += len(batch)
            self.columns[design] = self._counted(table, [one for one in columns if FEWEST_UNITS <= one.fires <= WIDEST * table.part.population])
        self.progress(len(hypotheses), len(hypotheses), Kind.single.value)

    def _counted(self, table: Table, columns: list[Sampled]) -> list[Sampled]:
        """Add the columns of a table, once each; those that differ from all others are given back."""
        new: dict[tuple[int, bytes], Sampled] = {}
        for one in sorted(columns, key=lambda one: price(one.hypothesis.clauses)):
            new.setdefault((one.fires, b"".join(one.bits[at].tobytes() for at in table.instants)), one)
        kept = list(new.values())
        for block in table.blocks(len(kept)):
            strata = table.strata(table.matrix(kept[block]))
            z = cmh_z(strata)
            self.least_log_p.append(minimum_attainable_log_p(strata))
            self.supports.append((strata.fired.sum(-1), strata.hits.sum(-1), table))
            exact = _log_p(strata, z, MIGHT) if table.shape.anchored else self._daily(table, kept[block], z)
            for place, one in enumerate(kept[block]):
                counts = strata.fired[place], strata.hits[place], float(z[place]), float(exact[place])
                self.entries.append(Entry(Kind.single, one.hypothesis.clauses, table, *counts, one.hypothesis))
        return kept

    def model(self, part: Part) -> Explained:
        if id(part) not in self.models:
            self.models[id(part)] = Explained(part.log, part.asks)
        return self.models[id(part)]

    def _daily(self, table: Table, columns: Sequence[Sampled], z: Floats) -> Floats:
        """p of rolling conditions from unit days: a grid of few instants sees little of what they precede."""
        fires = {id(one): one.firsts for one in columns if one.firsts is not None}
        unknown = [one.hypothesis for one, told in zip(columns, z.tolist(), strict=True) if one.firsts is None and told >= MIGHT]
        more = {id(one): fires.firsts() for one, _, fires in table.part.told(unknown)}
        known = [fires.get(id(one), more.get(id(one.hypothesis))) for one in columns]
        return self.daily(table.part, known)

    def daily(self, part: Part, fires: Sequence[Fires | None]) -> Floats:
        """log p of first fires by unit days; 0 where they are not known."""
        model, horizon, found = self.model(part), int(part.asks.horizon), np.zeros(len(fires))
        some = [place for place, one in enumerate(fires) if one is not None]
        tables = []
        for one in (one for one in fires if one is not None):
            tables.append(model.unit_days(model.spell(one, horizon)))
            self.tick()
        if tables:
            strata = Strata(*(np.stack([getattr(one, name) for one in tables]) for name in ("units", "converters", "fired", "hits")))
            found[some] = _log_p(strata, cmh_z(strata), MUST - 1)
        return found

    # --- one event after another -------------------------------------------------------------------------------------

    def sequences(self, names: Sequence[str]) -> None:
        """All ordered pairs of these events, within each gap, in the usual spans."""
        spans = ({"first": "7d"}, {"last": "7d"}, {"last": "14d"})
        for done, span in enumerate(spans):
            self.tick = lambda done=done: self.progress(done, len(spans), Kind.ordered.value)
            self.tick()
            shape = self.question.ask(Did(kind="did", match=EventMatch(any_event=True), span=span))
            table = self.table(shape)
            events = timeline(table.part.log, names)
            self.tried[Kind.ordered] += len(names) * (len(names) - 1) * len(GAPS)
            if len(table) and len(events.names) > 1:
                length = shape.longest_first or shape.look_back
                self._ordered(table, events.names, ordered_pairs(table, events, length), span)
        self.progress(len(spans), len(spans), Kind.ordered.value)

    def _ordered(self, table: Table, names: Sequence[str], found: Ordered, span: dict[str, str]) -> None:
        gap, a, b = np.nonzero(found.fired.sum(1) >= FEWEST_UNITS)
        real = a != b
        gap, a, b = gap[real], a[real], b[real]
        fired, hits = found.fired[gap, :, a, b], found.hits[gap, :, a, b]
        strata = Strata(np.broadcast_to(table.units, fired.shape), np.broadcast_to(table.converters, fired.shape), fired, hits)
        self.supports.append((fired.sum(-1), hits.sum(-1), table))
        z, n, tp = cmh_z(strata), fired.sum(-1).astype(float), hits.sum(-1).astype(float)
        alone, alone_hits = found.alone.sum(0).astype(float), found.alone_hits.sum(0).astype(float)
        surely = np.minimum(*(surely_better(n, tp, alone[one], alone_hits[one]) for one in (a, b)))
        fit = (z >= MUST) & (surely >= 0) & (n <= WIDEST * len(table))
        best = np.flatnonzero(fit)[np.argsort(-z[fit], kind="stable")][:MOST_KEPT]
        if not len(best):
            return
        clauses: list[tuple[Clause, ...]] = []
        for place in best.tolist():
            first, then = (EventMatch(events=(names[one[place]],)) for one in (a, b))
            clauses.append((InOrder(kind="sequence", match=first, then=then, within=Duration(GAPS[gap[place]]), span=span),))
        self.keep(Kind.ordered, table, clauses, _some(strata, best, every=True), z[best])

    def keep(self, kind: Kind, table: Table, clauses: Sequence[tuple[Clause, ...]], strata: Strata, z: Floats) -> None:
        """Combinations that could matter, with their exact p: by rows of the landmark, or by unit days."""
        asked = [self.question.ask(*one) for one in clauses]
        if table.shape.anchored:
            exact = log_p_values(_some(strata, np.arange(len(asked))))
        else:
            exact = self.daily(table.part, [fires.firsts() for _, _, fires in table.part.told(asked)])
        for place, one in enumerate(asked):
            counts = strata.fired[place], strata.hits[place], float(z[place]), float(exact[place])
            self.entries.append(Entry(kind, one.clauses, table, *counts, one))

    # --- pairs and triples -------------------------------------------------------------------------------------------

    def together(self) -> None:
        """All pairs of usual conditions of one design, and triples from the best of them."""
        tables = [design for design, columns in self.columns.items() if columns and len(self.tables[design]) >= FEWEST_UNITS]
        for done, design in enumerate(sorted(tables)):
            self.tick = lambda done=done: self.progress(done, len(tables), Kind.pair.value)
            own, others = self._paired(design)
            if own:
                _Products(self, self.tables[design], own, others).run()
        self.progress(len(tables), len(tables), Kind.pair.value)

    def _paired(self, design: Design) -> tuple[list[Sampled], list[Sampled]]:
        """Usual conditions of this design, and those of shorter spans that can be asked in its rows."""

        def fit(one: Sampled) -> bool:
            return usual(one.hypothesis.clauses[0]) and (not design[0] or stays_true(one.hypothesis))

        shorter = [one for one in self.columns if one[0] == design[0] and one[2] == design[2] and one[1] < design[1]]
        own = [one for one in self.columns[design] if fit(one)][:MOST_PAIRED]
        return own, [one for short in sorted(shorter) for one in self.columns[short] if fit(one)][: MOST_PAIRED - len(own)]


@dataclass
class _Products:
    """Pairs in the rows of one table: each of `own` with each other and with each of `others`."""

    screen: Screen
    table: Table
    own: list[Sampled]
    others: list[Sampled]

    def run(self) -> None:
        columns, mine = [*self.own, *self.others], len(self.own)
        x = self.table.matrix(columns)
        alone = self.table.strata(x)
        counts = self._counts(x[:mine], x)
        allowed = np.triu(np.ones((mine, len(columns)), np.bool_), 1)
        self.screen.tried[Kind.pair] += int(allowed.sum())
        n1, h1 = alone.fired.sum(-1).astype(float), alone.hits.sum(-1).astype(float)
        whole = ((n1[:mine, None], h1[:mine, None]), (n1, h1))
        i, j = self._best(counts, whole, allowed)
        pairs = x[i] * x[j]
        self._keep(Kind.pair, pairs, [(columns[a], columns[b]) for a, b in zip(i.tolist(), j.tolist(), strict=True)])
        beam = slice(0, BEAM)
        self._triples(x, columns, pairs[beam], i[beam], j[beam], (n1, h1))

    def _triples(self, x: Matrix, columns: list[Sampled], pairs: Matrix, i: Ints, j: Ints, alone: tuple[Floats, Floats]) -> None:
        strata = self.table.strata(pairs)
        n, h = strata.fired.sum(-1).astype(float), strata.hits.sum(-1).astype(float)
        fit = np.flatnonzero(_reachable(h, len(self.table), float(self.table.converted.sum())) >= MUST)
        if not len(fit):
            return
        allowed = np.ones((len(fit), len(columns)), np.bool_)
        allowed[np.arange(len(fit)), i[fit]] = allowed[np.arange(len(fit)), j[fit]] = False
        self.screen.tried[Kind.triple] += int(allowed.sum())
        counts = self._counts(pairs[fit], x)
        which, k = self._best(counts, ((n[fit][:, None], h[fit][:, None]), alone), allowed)
        named = [(columns[i[fit[a]]], columns[j[fit[a]]], columns[b]) for a, b in zip(which.tolist(), k.tolist(), strict=True)]
        self._keep(Kind.triple, pairs[fit[which]] * x[k], named)

    def _counts(self, left: Matrix, right: Matrix) -> tuple[Floats, Floats, Floats]:
        """Rows in which both are true, hits among them, and z, for every pair."""
        fired, hits, expected, variance = (np.zeros((len(left), len(right))) for _ in range(4))
        for (start, stop), size, converting in zip(self.table.bounds, self.table.units.tolist(), self.table.converters.tolist(), strict=True):
            self.screen.tick()
            rows = slice(start, stop)
            both = (left[:, rows] @ right[:, rows].T).astype(np.float64)
            converted = self.table.converted[rows]
            fired += both
            if converting:
                hits += left[:, rows][:, converted] @ right[:, rows][:, converted].T
            if 0 < converting < size:
                expected += both * (converting / size)
                variance += both * (size - both) * (converting * (size - converting) / (size * size * (size - 1)))
        with np.errstate(divide="ignore", invalid="ignore"):
            return fired, hits, np.where(variance > 0, (hits - expected) / np.sqrt(variance), -np.inf)

    def _best(
        self, counts: tuple[Floats, Floats, Floats], parents: tuple[tuple[Floats, Floats], tuple[Floats, Floats]], allowed: Flags
    ) -> tuple[Ints, Ints]:
        """Places of those that are surely better than both parents, by z."""
        fired, hits, z = counts
        enough = allowed & (fired >= FEWEST_UNITS)
        self.screen.supports.append((fired[enough].astype(np.int64), hits[enough].astype(np.int64), self.table))
        fit = enough & (z >= MUST)
        for n, h in parents:
            fit &= (fired < n) & (surely_better(fired, hits, n, h) >= SURELY)
        i, j = np.nonzero(fit)
        best = np.argsort(-z[i, j], kind="stable")[:MOST_KEPT]
        return i[best], j[best]

    def _keep(self, kind: Kind, matrix: Matrix, named: Sequence[tuple[Sampled, ...]]) -> None:
        if not named:
            return
        strata = self.table.strata(matrix)
        clauses = [tuple(one.hypothesis.clauses[0] for one in several) for several in named]
        self.screen.keep(kind, self.table, clauses, strata, cmh_z(strata))


def _log_p(strata: Strata, z: Floats, might: float) -> Floats:
    """Exact where z says that it might matter; elsewhere the normal tail."""
    from scipy.special import log_ndtr

    found = log_ndtr(-np.maximum(z, -8.0))
    exact = np.flatnonzero(z >= might)
    if len(exact):
        found[exact] = log_p_values(_some(strata, exact))
    return found


def _some(strata: Strata, which: Ints, *, every: bool = False) -> Strata:
    """These hypotheses, without strata in which nothing varies for any of them unless `every` stratum is asked for."""
    units, converters, fired, hits = (column[which] for column in (strata.units, strata.converters, strata.fired, strata.hits))
    varies = ((converters > 0) & (converters < units) & (fired > 0) & (fired < units)).any(0)
    some = np.flatnonzero(varies | every) if varies.any() or every else np.arange(1)
    return Strata(units[:, some], converters[:, some], fired[:, some], hits[:, some])


def _reachable(hits: Floats, rows: int, converting: float) -> Floats:
    """The largest z that any refinement can have: one that keeps all hits and no other row (Morishita, Sese 2000)."""
    chance = converting / max(rows, 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(hits > 0, np.sqrt(hits * (1 - chance) / max(chance, 1e-12) * (rows - 1) / np.maximum(rows - hits, 1)), 0.0)
