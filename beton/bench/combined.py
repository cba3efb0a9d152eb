"""All hypotheses of the measured mix in one SQL query: clauses in a table, joined with windows over the events that they share.

Tables as in `beton.bench.sql`, and `atoms` (one row per clause of each hypothesis, in the order of clauses: h, kind, name, then_name, plan, n, d,
within) and `hypotheses` (h, clauses, signed, of_accounts, s0, horizon, entrants). Missing names and plans are -1; a missing `within` is `NEVER`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from backtest.events import Window
from backtest.language import Counted, Did, DidNot, First, Hypothesis
from backtest.language import Sequence as Order
from beton.bench.sql import NEVER, counts

DAY_OF = "(ts - ts % 86400000000)"
OVER = "rows between unbounded preceding and current row"


def tables(hypotheses: Sequence[Hypothesis], window: Window, names: Mapping[str, int], plans: Mapping[str, int]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """`atoms` and `hypotheses`."""
    atoms, whole = [], []
    for h, one in enumerate(hypotheses):
        for place, clause in enumerate(one.clauses):
            atoms.append({"h": h, "a": place} | _atom(clause, names, plans))
        whole.append({
            "h": h, "clauses": len(one.clauses), "signed": one.entry is not None, "of_accounts": one.unit != "person",
            "s0": window.start + one.look_back, "horizon": int(one.horizon), "entrants": one.counts_entrants_only,
        })  # fmt: skip
    return pl.DataFrame(atoms), pl.DataFrame(whole)


def _atom(clause: Any, names: Mapping[str, int], plans: Mapping[str, int]) -> dict[str, Any]:
    first = isinstance(clause.span, First)
    row = {
        "name": -1 if clause.match.any_event else names[clause.match.events[0]],
        "plan": plans[str(clause.match.where[0].value)] if clause.match.where else -1,
        "d": int(clause.span.first if first else clause.span.last),
        "n": 1,
        "then_name": -1,
        "within": NEVER,
    }
    span = "first" if first else "last"
    if isinstance(clause, Did):
        kind = {Counted.days: "days", Counted.persons: "persons"}.get(clause.count, "did")
        return row | {"kind": f"{kind}_{span}", "n": clause.at_least}
    if isinstance(clause, DidNot):
        return row | {"kind": f"silent_{span}"}
    if not isinstance(clause, Order):
        raise ValueError(f"{clause.kind} is not in the measured mix")
    return row | {"kind": f"pair_{span}", "then_name": names[clause.then.events[0]], "within": int(clause.within or NEVER)}


def _by(key: str, suffix: str, joined: str, backs: Sequence[int], held: str) -> str:
    """Windows over the events of one way of matching: the last n-th before each event, and the place of each since sign-up."""
    lags = ", ".join(f"lag(ts, {back}) over (partition by {key} order by ts) as lag{back}" for back in backs if back)
    oldest = "case a.n " + " ".join(f"when {back + 1} then {f'lag{back}' if back else 'ts'}" for back in backs) + " end"
    return f"""
    recent_{suffix} as (select *{", " + lags if lags else ""} from events{held}),
    lately_{suffix} as (
        select a.h, a.a, w.unit, w.ts as start, {oldest} + a.d as stop from recent_{suffix} w join atoms a on {joined} where a.kind = 'did_last'),
    placed_{suffix} as (
        select e.unit, e.name, e.plan, e.ts, u.signed_at, row_number() over (partition by {key.replace("unit", "e.unit")} order by ts) as place
        from events e join units u on u.unit = e.unit and e.ts >= u.signed_at{held}),
    first_{suffix} as (
        select a.h, a.a, w.unit, w.ts as start, {NEVER} as stop from placed_{suffix} w join atoms a on {joined}
        where a.kind = 'did_first' and w.place = a.n and w.ts < w.signed_at + a.d),"""


def query(atoms: pl.DataFrame, window: Window) -> str:
    """One row per hypothesis: h and the counts in the order of `beton.bench.sql.COUNTS`. Hypotheses that never fire have no row.

    Only conjunctions need to know where intervals end; for the others the beginnings of maximal ones do, because here nobody's events precede entry.
    """

    def backs(condition: pl.Expr) -> list[int]:
        return sorted(set((atoms.filter(condition)["n"] - 1).to_list()) | {0})

    named, planned = pl.col("name") >= 0, pl.col("plan") >= 0
    return f"""
    with {_by("name, unit", "name", "a.name = w.name and a.plan = -1", backs(named & ~planned & (pl.col("kind") == "did_last")), "")}
    {_by("name, plan, unit", "both", "a.name = w.name and a.plan = w.plan", backs(named & planned), " where plan >= 0")}
    {_by("plan, unit", "plan", "a.name = -1 and a.plan = w.plan", backs(~named), " where plan >= 0")}
    {_days()} {_pairs()} {_silences()} {_persons()}
    windows as (
        select * from lately_name union all select * from lately_both union all select * from lately_plan
        union all select * from days_lately union all select * from pairs_lately union all select * from persons_lately),
    edges as (
        select h, a, unit, start, stop, clauses, lag(stop) over (partition by h, a, unit order by start) as before_it
        from windows join hypotheses using (h) where start < stop),
    numbered as (
        select h, a, unit, start, stop,
            sum(case when before_it is null or start > before_it then 1 else 0 end) over (partition by h, a, unit order by start {OVER}) as island
        from edges where clauses > 1),
    held as (
        select h, a, unit, start, stop from edges where clauses = 1 and (before_it is null or start > before_it)
        union all select h, a, unit, min(start), max(stop) from numbered group by h, a, unit, island
        union all select * from first_name union all select * from first_both union all select * from first_plan
        union all select * from days_first union all select h, a, unit, min(start), {NEVER} from pairs_first group by h, a, unit
        union all select * from silent_first union all select * from silent_last),
    whole as (
        select h, unit, start, stop from held join hypotheses using (h) where clauses = 1
        union all select h, unit, greatest(p.start, q.start), least(p.stop, q.stop)
            from held p join held q using (h, unit) join hypotheses using (h)
            where clauses = 2 and p.a = 0 and q.a = 1 and greatest(p.start, q.start) < least(p.stop, q.stop)
        union all select h, unit, greatest(p.start, q.start, r.start), least(p.stop, q.stop, r.stop)
            from held p join held q using (h, unit) join held r using (h, unit) join hypotheses using (h)
            where clauses = 3 and p.a = 0 and q.a = 1 and r.a = 2 and greatest(p.start, q.start, r.start) < least(p.stop, q.stop, r.stop)),
    everyone as (
        select unit, first_at, signed_at, paid_at, false as of_accounts from units
        union all select unit, first_at, signed_at, paid_at, true as of_accounts from account_units),
    begun as (
        select w.h, w.unit, greatest(w.start, case when y.signed then u.signed_at else u.first_at end) as begins, w.stop,
            case when y.signed then u.signed_at else u.first_at end as entry, y.s0, y.horizon, y.entrants, coalesce(u.paid_at, {NEVER}) as paid
        from whole w join hypotheses y using (h) join everyone u on u.unit = w.unit and u.of_accounts = y.of_accounts),
    fires as (
        select h, unit, min(begins) as fired, min(paid) as paid, min(horizon) as horizon from begun
        where entry is not null and begins >= s0 and begins < {window.end} and begins < stop and (not entrants or entry >= s0) group by h, unit)
    select h, count(*), {counts("fired", "paid", "horizon", window)} from fires group by h order by h
    """


def _days() -> str:
    lags = ", ".join(f"lag(closes, {back}) over (partition by name, unit order by ts) as lag{back}" for back in (1, 2, 3))
    return f"""
    dated as (select name, unit, min(ts) as ts, max(ts) as closes from events
        where name in (select name from atoms where kind = 'days_last') group by name, unit, {DAY_OF}),
    dated_recent as (select *, {lags} from dated),
    days_lately as (
        select a.h, a.a, w.unit, w.ts as start,
            (case a.n when 1 then closes when 2 then lag1 when 3 then lag2 when 4 then lag3 end) + a.d as stop
        from dated_recent w join atoms a on a.name = w.name where a.kind = 'days_last'),
    dated_since as (
        select e.name, e.unit, min(e.ts) as ts, min(u.signed_at) as signed_at from events e join units u on u.unit = e.unit and e.ts >= u.signed_at
        where e.name in (select name from atoms where kind = 'days_first') group by e.name, e.unit, {DAY_OF.replace("ts", "e.ts")}),
    dated_placed as (select *, row_number() over (partition by name, unit order by ts) as place from dated_since),
    days_first as (
        select a.h, a.a, w.unit, w.ts as start, {NEVER} as stop from dated_placed w join atoms a on a.name = w.name
        where a.kind = 'days_first' and w.place = a.n and w.ts < w.signed_at + a.d),"""


def _pairs() -> str:
    return f"""
    early as (
        select a.h, e.unit, e.ts from events e join atoms a on a.name = e.name left join units u on u.unit = e.unit
        where a.kind = 'pair_last' or (a.kind = 'pair_first' and e.ts >= u.signed_at and e.ts < u.signed_at + a.d)),
    late as (
        select a.h, a.a, a.kind, a.d, a.within, e.unit, e.ts
        from events e join atoms a on a.then_name = e.name left join units u on u.unit = e.unit
        where a.kind = 'pair_last' or (a.kind = 'pair_first' and e.ts >= u.signed_at and e.ts < u.signed_at + a.d)),
    pairs as (
        select b.h, b.a, b.kind, b.d, b.unit, b.ts as start, c.ts as earlier
        from late b asof join early c on b.h = c.h and b.unit = c.unit and b.ts > c.ts
        where b.ts - c.ts <= b.within),
    pairs_lately as (select h, a, unit, start, earlier + d as stop from pairs where kind = 'pair_last'),
    pairs_first as (select h, a, unit, start, {NEVER} as stop from pairs where kind = 'pair_first'),"""


def _silences() -> str:
    return f"""
    quiet_entrants as (
        select a.h, a.a, u.unit, u.signed_at + a.d as start, {NEVER} as stop from atoms a cross join units u
        where a.kind = 'silent_first' and u.signed_at is not null),
    heard as (
        select a.h, w.unit from placed_name w join atoms a on a.name = w.name
        where a.kind = 'silent_first' and w.place = 1 and w.ts < w.signed_at + a.d),
    silent_first as (select q.* from quiet_entrants q anti join heard s on s.h = q.h and s.unit = q.unit),
    followed as (
        select name, unit, ts, lead(ts) over w as later, lag(ts) over w as earlier from events
        where name in (select name from atoms where kind = 'silent_last') window w as (partition by name, unit order by ts)),
    gaps as (
        select a.h, a.a, a.d, f.unit, f.ts + a.d as start, coalesce(f.later, {NEVER}) as stop from followed f join atoms a on a.name = f.name
            where a.kind = 'silent_last'
        union all select a.h, a.a, a.d, f.unit, {-NEVER} as start, f.ts as stop from followed f join atoms a on a.name = f.name
            where a.kind = 'silent_last' and f.earlier is null
        union all select q.h, q.a, q.d, q.unit, {-NEVER} as start, {NEVER} as stop
            from (select a.h, a.a, a.d, a.name, u.unit from atoms a cross join units u where a.kind = 'silent_last') q
            anti join (select distinct name, unit from followed) f on f.name = q.name and f.unit = q.unit),
    silent_last as (
        select g.h, g.a, g.unit, greatest(g.start, u.first_at + g.d) as start, g.stop from gaps g join units u on u.unit = g.unit
        where u.first_at is not null and greatest(g.start, u.first_at + g.d) < g.stop),"""


def _persons() -> str:
    return f"""
    met as (
        select name, unit, ts, lag(ts) over w as earlier, lead(ts) over w as later from account_events
        where name in (select name from atoms where kind = 'persons_last') window w as (partition by name, unit, person order by ts)),
    met_steps as (
        select a.h, a.a, a.n, m.unit, m.ts as t, 1 as step from met m join atoms a on a.name = m.name
            where a.kind = 'persons_last' and (m.earlier is null or m.ts > m.earlier + a.d)
        union all select a.h, a.a, a.n, m.unit, m.ts + a.d as t, -1 as step from met m join atoms a on a.name = m.name
            where a.kind = 'persons_last' and (m.later is null or m.later > m.ts + a.d)),
    met_total as (select h, a, n, unit, t, sum(step) as total from met_steps group by h, a, n, unit, t),
    met_level as (
        select h, a, n, unit, t, sum(total) over (partition by h, a, unit order by t {OVER}) as level,
            lead(t) over (partition by h, a, unit order by t) as later from met_total),
    persons_lately as (select h, a, unit, t as start, coalesce(later, {NEVER}) as stop from met_level where level >= n),"""
