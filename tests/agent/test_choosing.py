"""The race for the list, with racers that are only what the race looks at."""

from dataclasses import dataclass, field
from typing import Any, cast

from agent import choosing
from agent.choosing import Lines, _Race
from agent.racer import Racer
from agent.wordings import Wordings
from backtest.verdict import Bar
from tests.agent.test_wordings import Wording, units


@dataclass
class Runner(Wording):
    """A wording that may be offered."""

    candidate: Any = None
    fires: Any = None
    made_of_outcome: Any = None

    def __post_init__(self) -> None:
        self.candidate = self

    hypothesis = property(lambda self: self)
    horizon = 1


@dataclass
class Taken:
    """A list that takes whatever it is offered."""

    lines: list[Any] = field(default_factory=list)

    def offer(self, one: Runner) -> bool:
        self.lines.append(one)
        return True

    def useful(self) -> int:
        return len(self.lines)

    def labelled(self) -> int:
        return 0


class Told(_Race):
    """A race in which it is known what each is worth, and that the plainest of all is shown first."""

    worth: dict[int, float]

    def _model(self, one: Any) -> Any:
        del one
        return self

    def spell(self, fires: Any, horizon: int) -> Any:
        del fires, horizon

    def _worth(self, one: Any, spell: Any) -> float:
        del spell
        told = any(one.units & line.units for line in cast("Any", self.found).lines)
        return 0.0 if told else self.worth[one.place]

    def _wordings(self, best: Any, worth: float, heap: Any, gone: set[int], spells: Any) -> Wordings:
        del worth, heap, spells
        near = [best, *(one for one in self.racers if one.place not in gone and one is not best and self._worth(one, None))]
        return Wordings(near, [self.worth[one.place] for one in near])

    def _others(self, wordings: Wordings, line: Any) -> None:
        del wordings, line


def raced(*runners: tuple[Runner, float]) -> list[int]:
    taken = Taken()
    race = Told(cast("Lines", taken), Bar(), cast("list[Racer]", [one for one, _ in runners]))
    race.worth = {one.place: worth for one, worth in runners}
    race.run(10)
    return [one.place for one in taken.lines]


def test_a_leader_that_only_shares_an_event_with_what_was_shown_first_comes_after_it(monkeypatch):
    monkeypatch.setattr(choosing, "worth_showing", lambda *_: True)
    leader, crowd = Runner(0, units(0, 10)), [Runner(place, units(50, 70)) for place in (1, 2, 3)]
    assert raced((leader, 10.5), *((one, 10.0) for one in crowd)) == [1, 0]


def test_a_leader_of_which_a_plainer_wording_was_shown_is_not_shown_again(monkeypatch):
    monkeypatch.setattr(choosing, "worth_showing", lambda *_: True)
    leader, plain = Runner(0, units(0, 20), price=1.0), Runner(1, units(0, 20))
    assert raced((leader, 10.5), (plain, 10.4)) == [1]
