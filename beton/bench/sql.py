"""One hypothesis of the measured mix as one SQL query, as somebody would write it who knows the counting rules.

Tables: `events(unit, name, ts, plan)` and, for accounts, `account_events(unit, name, ts, person)`; `units` and `account_units` with
`(unit, first_at, signed_at, paid_at)`, null where there is none. Names and plans are small integers, instants are microseconds.
Every clause becomes a relation `(unit, start, stop)` of its maximal intervals; the first one that begins in `[s0, end)` is the fire.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from backtest.events import Window
from backtest.intervals import FOREVER
from backtest.language import Clause, Counted, Did, DidNot, First, Hypothesis, Last, Sequence, Span
from backtest.matching import EventMatch

NEVER = int(FOREVER)

COUNTS = ("fires_total", "excluded_converted", "pending", "sample_size", "true_positives", "recall_hits")


@dataclass(frozen=True)
class Question:
    """A hypothesis with numbers in place of names."""

    hypothesis: Hypothesis
    window: Window
    names: Mapping[str, int]
    plans: Mapping[str, int]

    @property
    def of_accounts(self) -> bool:
        return self.hypothesis.unit != "person"

    @property
    def events(self) -> str:
        return "account_events" if self.of_accounts else "events"

    @property
    def units(self) -> str:
        return "account_units" if self.of_accounts else "units"

    @property
    def entry(self) -> str:
        return "first_at" if self.hypothesis.entry is None else "signed_at"

    @property
    def s0(self) -> int:
        return self.window.start + self.hypothesis.look_back

    def where(self, match: EventMatch) -> str:
        parts = [] if match.any_event else [f"name = {self.names[match.events[0]]}"]
        parts += [f"plan = {self.plans[str(one.value)]}" for one in match.where]
        return " and ".join(parts)


def length(span: Span) -> int:
    """Of the spans that the mix has."""
    if isinstance(span, First):
        return int(span.first)
    if isinstance(span, Last):
        return int(span.last)
    raise ValueError(f"{span} is not in the measured mix")


def query(question: Question, *, clickhouse: bool = False) -> str:
    """One row: the counts in the order of `COUNTS`."""
    one, window = question.hypothesis, question.window
    horizon = int(one.horizon)
    parts = [f"({_intervals(clause, question, clickhouse)})" for clause in one.clauses]
    held = f"select unit, start, stop from {parts[0]} c0"
    if len(parts) > 1:
        starts, stops = (", ".join(f"c{index}.{end}" for index in range(len(parts))) for end in ("start", "stop"))
        joins = " ".join(f"join {part} c{index} on c{index}.unit = c0.unit" for index, part in enumerate(parts[1:], 1))
        both = f"greatest({starts}) as start, least({stops}) as stop"
        held = f"select c0.unit as unit, {both} from {parts[0]} c0 {joins} where greatest({starts}) < least({stops})"
    entered = f"and u.{question.entry} >= {question.s0}" if one.counts_entrants_only else ""
    begins = f"greatest(h.start, u.{question.entry})"
    return f"""
    with held as ({held}),
    fires as (
        select u.unit as unit, min({begins}) as fired, min(coalesce(u.paid_at, {NEVER})) as paid
        from held h join {question.units} u on u.unit = h.unit
        where u.{question.entry} is not null and {begins} >= {question.s0} and {begins} < {window.end} and {begins} < h.stop {entered}
        group by u.unit
    )
    select count(*), {counts("fired", "paid", str(horizon), window)} from fires
    """


def counts(fired: str, paid: str, horizon: str, window: Window) -> str:
    open_ = f"{paid} > {fired}"
    whole = f"{open_} and {fired} + {horizon} <= {window.end}"
    conditions = (
        f"{paid} <= {fired}",
        f"{open_} and {fired} + {horizon} > {window.end}",
        whole,
        f"{whole} and {paid} <= {fired} + {horizon}",
        f"{open_} and {paid} <= {fired} + {horizon}",
    )
    return ", ".join(f"coalesce(sum(case when {condition} then 1 else 0 end), 0)" for condition in conditions)


def _intervals(clause: Clause, question: Question, clickhouse: bool) -> str:
    if isinstance(clause, Did):
        if clause.count is Counted.persons:
            return _persons_lately(clause, question, clickhouse)
        days = clause.count is Counted.days
        return _nth(clause, question, days) if isinstance(clause.span, First) else _lately(clause, question, days, clickhouse)
    if isinstance(clause, DidNot):
        return _silent(clause, question) if isinstance(clause.span, First) else _silent_lately(clause, question, clickhouse)
    if isinstance(clause, Sequence):
        return _pair(clause, question, clickhouse)
    raise ValueError(f"{clause.kind} is not in the measured mix")


def lag(value: str, back: int, clickhouse: bool, partition: str = "unit", order: str = "ts") -> str:
    if clickhouse:
        frame = "rows between unbounded preceding and current row"
        return f"lagInFrame(toNullable({value}), {back}) over (partition by {partition} order by {order} {frame})"
    return f"lag({value}, {back}) over (partition by {partition} order by {order})"


def lead(value: str, clickhouse: bool) -> str:
    if clickhouse:
        return f"leadInFrame(toNullable({value}), 1) over (partition by unit order by ts rows between current row and unbounded following)"
    return f"lead({value}, 1) over (partition by unit order by ts)"


def _in_first(match: EventMatch, first: int, question: Question) -> str:
    since = f"u.{question.entry}"
    return f"""select e.unit as unit, e.ts as ts from {question.events} e join {question.units} u on u.unit = e.unit
        where {question.where(match)} and e.ts >= {since} and e.ts < {since} + {first}"""


def _nth(clause: Did, question: Question, days: bool) -> str:
    found = _in_first(clause.match, length(clause.span), question)
    if days:
        found = f"select unit, min(ts) as ts from ({found}) d group by unit, {_day('ts')}"
    if clause.at_least == 1:
        return f"select unit, min(ts) as start, {NEVER} as stop from ({found}) f group by unit"
    ranked = f"select unit, ts, row_number() over (partition by unit order by ts) as place from ({found}) f"
    return f"select unit, ts as start, {NEVER} as stop from ({ranked}) r where place = {clause.at_least}"


def _day(ts: str) -> str:
    return f"({ts} - {ts} % 86400000000)"


def _lately(clause: Did, question: Question, days: bool, clickhouse: bool) -> str:
    last, back = length(clause.span), clause.at_least - 1
    found = f"select unit, ts, ts as closes from {question.events} where {question.where(clause.match)}"
    if days:
        found = f"""select unit, min(ts) as ts, max(ts) as closes from {question.events} where {question.where(clause.match)}
            group by unit, {_day("ts")}"""
    oldest = lag("closes", back, clickhouse) if back else "closes"
    windows = f"select unit, ts as start, {oldest} + {last} as stop from ({found}) f"
    return united(f"select unit, start, stop from ({windows}) w where stop is not null and start < stop", clickhouse)


def united(windows: str, clickhouse: bool) -> str:
    """Maximal intervals of windows whose starts and stops ascend together."""
    previous = lag("stop", 1, clickhouse, order="start, stop")
    islands = f"select unit, start, stop, {previous} as before_it from ({windows}) v"
    marked = f"select unit, start, stop, case when before_it is null or start > before_it then 1 else 0 end as begins from ({islands}) i"
    running = "rows between unbounded preceding and current row"
    numbered = f"select unit, start, stop, sum(begins) over (partition by unit order by start, stop {running}) as island from ({marked}) m"
    return f"select unit, min(start) as start, max(stop) as stop from ({numbered}) n group by unit, island"


def _persons_lately(clause: Did, question: Question, clickhouse: bool) -> str:
    last = length(clause.span)
    found = f"select unit, person, ts from {question.events} where {question.where(clause.match)}"
    near = lag("ts", 1, clickhouse, partition="unit, person")
    next_at = lead("ts", clickhouse).replace("partition by unit", "partition by unit, person")
    edges = f"select unit, ts, {near} as earlier, {next_at} as later from ({found}) f"
    steps = f"""select unit, ts as t, 1 as step from ({edges}) e where earlier is null or ts > earlier + {last}
        union all select unit, ts + {last} as t, -1 as step from ({edges}) e where later is null or later > ts + {last}"""
    level = f"""select unit, t, sum(total) over (partition by unit order by t rows between unbounded preceding and current row) as level
        from (select unit, t, sum(step) as total from ({steps}) s group by unit, t) g"""
    following = lead("t", clickhouse).replace("order by ts", "order by t")
    pieces = f"select unit, t as start, coalesce({following}, {NEVER}) as stop, level from ({level}) l"
    return united(f"select unit, start, stop from ({pieces}) p where level >= {clause.at_least}", clickhouse)


def _silent(clause: DidNot, question: Question) -> str:
    first = length(clause.span)
    return f"""select unit, {question.entry} + {first} as start, {NEVER} as stop from {question.units}
        where {question.entry} is not null and unit not in (select unit from ({_in_first(clause.match, first, question)}) f)"""


def _silent_lately(clause: DidNot, question: Question, clickhouse: bool) -> str:
    last = length(clause.span)
    where = question.where(clause.match)
    after = f"select unit, ts + {last} as start, coalesce({lead('ts', clickhouse)}, {NEVER}) as stop from {question.events} where {where}"
    before = f"select unit, {-NEVER} as start, min(ts) as stop from {question.events} where {where} group by unit"
    never = (
        f"select unit, {-NEVER} as start, {NEVER} as stop from {question.units} where unit not in (select unit from {question.events} where {where})"
    )
    old = f"u.{question.entry} + {last}"
    return f"""select g.unit as unit, greatest(g.start, {old}) as start, g.stop as stop
        from ({after} union all {before} union all {never}) g join {question.units} u on u.unit = g.unit
        where u.{question.entry} is not null and greatest(g.start, {old}) < g.stop"""


def _pair(clause: Sequence, question: Question, clickhouse: bool) -> str:
    if isinstance(clause.span, First):
        a, b = (_in_first(match, length(clause.span), question) for match in (clause.match, clause.then))
    else:
        a, b = (f"select unit, ts from {question.events} where {question.where(match)}" for match in (clause.match, clause.then))
    near = f"and b.ts - a.ts <= {int(clause.within)}" if clause.within is not None else ""
    pairs = (
        f"select b.unit as unit, b.ts as start, a.ts as earlier from ({b}) b asof join ({a}) a on b.unit = a.unit and b.ts > a.ts where 1 = 1 {near}"
    )
    if isinstance(clause.span, First):
        return f"select unit, min(start) as start, {NEVER} as stop from ({pairs}) p group by unit"
    last = length(clause.span)
    return united(f"select unit, start, earlier + {last} as stop from ({pairs}) p where start < earlier + {last}", clickhouse)
