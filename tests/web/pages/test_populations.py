"""A backtest of a population: internal traffic left out, a segment, over HTTP and on the page where one is written."""

from beton.roles import Permission
from beton.store import hypotheses, questions, taxonomies
from beton.store.records import Connection
from beton.store.store import Store
from tests.web.conftest import NAMES, FakeJobs
from tests.web.contract import Contract
from tests.web.pages.conftest import read
from tests.web.steps import definition, kept, result
from tests.web.test_weighing import YAML, may_only

KNOWN = NAMES | {"properties": [{"name": name, "kind": "event", "type": kind} for name, kind in (("plan", "string"), ("is_test", "boolean"))]}
OUT = {"property": "is_test", "op": "not_equals", "value": True}
TEAM = {"property": "plan", "op": "equals", "value": "team"}


def with_question(store: Store, connection: Connection) -> None:
    with store.transaction() as tx:
        taxonomies.save(tx, connection.id, KNOWN, None)
        asked = {"unit": "person", "entry": {"events": ["user_signed_up"], "where": [OUT]}, "outcome": definition()["outcome"]}
        questions.confirm(tx, connection.id, asked, window_days=90, actor="ada")


def written(api: Contract) -> str:
    preview = api.post("hypotheses/preview", {"definition": YAML}).json()
    return api.post("hypotheses", {"connection": "shop", "definition": preview["definition"]}).json()["hypothesis_id"]


def test_a_backtest_of_a_population_tests_hypotheses_of_their_own(api: Contract, store: Store, connection: Connection, jobs: FakeJobs):
    with_question(store, connection)
    one = written(api)
    asked = {"connection": "shop", "hypothesis_ids": [one], "population": {"leave_out_internal": True, "where": [TEAM]}}
    run = api.post("backtests", asked).json()
    (narrowed,) = run["request"]["hypothesis_ids"]
    assert narrowed != one
    told = api.get(f"hypotheses/{narrowed}").json()
    assert told["definition"]["entry"] == {"events": ["user_signed_up"], "where": [OUT, TEAM]}
    assert (told["status"], "team" in told["hypothesis"]) == ("proposed", True)
    with store.reading() as tx:
        assert not hypotheses.get(tx, narrowed).selected
    assert api.post("backtests", asked).json()["request"]["hypothesis_ids"] == [narrowed]
    assert api.post("backtests", asked | {"population": {}}).json()["request"]["hypothesis_ids"] == [one]


def test_one_that_was_tested_before_counts_as_selected_when_it_is_narrowed(api: Contract, store: Store, connection: Connection):
    row = kept(store, connection, tested=result())
    refused = api.post("backtests", {"connection": "shop", "hypothesis_ids": [row.id], "population": {"where": [TEAM]}})
    assert (refused.status_code, refused.json()["code"]) == (422, "population.no_entry")
    entered = api.ask("PATCH", f"hypotheses/{row.id}", json={"definition": definition() | {"entry": "user_signed_up"}})
    assert entered.status_code == 200
    run = api.post("backtests", {"connection": "shop", "hypothesis_ids": [row.id], "population": {"where": [TEAM]}}).json()
    with store.reading() as tx:
        assert hypotheses.get(tx, run["request"]["hypothesis_ids"][0]).selected


def test_a_population_that_cannot_be_told_is_refused_with_every_fault(api: Contract, stranger, store: Store, connection: Connection):
    row = kept(store, connection)
    asked = {"connection": "shop", "hypothesis_ids": [row.id]}
    nothing = api.post("backtests", asked | {"population": {"leave_out_internal": True}})
    assert (nothing.status_code, nothing.json()["code"]) == (422, "population.unknown_internal")
    wrong = api.post("backtests", asked | {"population": {"where": [{"property": "plan", "op": "most", "value": 1}, {"op": "is_set"}]}}).json()
    assert [one["pointer"] for one in wrong["errors"]] == ["/population/where/0/op", "/population/where/1/property"]
    with_question(store, connection)
    one = written(api)
    unknown = api.post("backtests", {"connection": "shop", "hypothesis_ids": [one], "population": {"where": [TEAM | {"property": "plann"}]}})
    assert (unknown.status_code, unknown.json()["errors"][0]["nearest"]) == (422, ["plan"])
    narrow = may_only(stranger, store, Permission.RUN)
    refused = narrow.post("backtests", {"connection": "shop", "hypothesis_ids": [one], "population": {"where": [TEAM]}})
    assert (refused.status_code, refused.json()["details"]["needs"]) == (403, "write")


def test_the_page_where_one_is_written_says_who_is_counted(ada, store: Store, connection: Connection):
    with_question(store, connection)
    form = read(ada.get("/hypotheses/new"))
    assert "only is_test not equals true" in form.text
    fields = {"connection": connection.id, "text": YAML, "internal": "out", "segment": "plan = team"}
    said = read(ada.post("/hypotheses/preview", data=fields)).text
    assert "team" in said
    assert "is_test" in said
    wrong = ada.post("/hypotheses/new", data=fields | {"segment": "plan"})
    assert (wrong.status_code, "is not of the form" in wrong.text, ">plan</textarea>" in wrong.text) == (422, True, True)
    kept_one = ada.post("/hypotheses/new", data=fields | {"then": "keep"})
    assert kept_one.status_code == 303
    with store.reading() as tx:
        (row,) = hypotheses.every(tx)
    assert row.definition["entry"]["where"] == [OUT, TEAM]
