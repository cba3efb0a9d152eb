"""Which wording of an idea stands for it, and what stands for the rest of what is likely."""

from dataclasses import dataclass
from typing import Any, cast

import pytest

from agent.racer import Racer
from agent.wordings import Wordings, one_idea
from backtest.redundancy import Overlap


@dataclass
class Wording:
    """A racer as far as wordings are compared: who fires, when, and the price of the words."""

    place: int
    units: frozenset[int]
    price: float = 0.0
    at: float = 0.0
    named: frozenset[str] = frozenset(("invited",))

    def like(self, other: "Wording") -> Overlap:
        return Overlap(len(self.units), len(other.units), len(self.units & other.units))

    def after(self, other: "Wording") -> float:
        return self.at - other.at


def several(*given: tuple[Any, float]) -> Wordings:
    racers, worth = zip(*given, strict=True)
    return Wordings(cast("tuple[Racer, ...]", racers), worth)


def units(first: int, last: int) -> frozenset[int]:
    return frozenset(range(first, last))


def test_weights_add_up_to_one_and_follow_the_evidence():
    found = several((Wording(0, units(0, 10)), 12.0), (Wording(1, units(50, 60)), 10.0))
    assert found.weight.sum() == pytest.approx(1)
    assert found.weight[0] > found.weight[1]


def test_many_wordings_that_say_the_same_outweigh_one_that_does_a_little_better():
    lonely = Wording(0, units(100, 120))
    crowd = [Wording(place, units(0, 20)) for place in range(1, 6)]
    assert several((lonely, 10.5), *((one, 10.0) for one in crowd)).best().place in range(1, 6)


def test_of_those_that_say_the_same_the_plainest_is_shown_and_then_the_first_to_fire():
    dear, late, early = Wording(0, units(0, 20), price=1.0), Wording(1, units(0, 20), at=5.0), Wording(2, units(0, 20))
    assert several((dear, 10.3), (late, 10.0), (early, 10.0)).best().place == 2


def test_what_the_data_cannot_tell_apart_is_told():
    twice, thrice = Wording(0, units(0, 100)), Wording(1, units(0, 60))
    undecided = several((twice, 10.0), (thrice, 9.0))
    assert [one.place for one in undecided.others(undecided.best())] == [1]


def test_what_the_data_tell_apart_is_left_out():
    twice, thrice = Wording(0, units(0, 100)), Wording(1, units(0, 60))
    decided = several((twice, 20.0), (thrice, 5.0))
    assert decided.best().place == 0
    assert decided.others(decided.best()) == []


def test_one_idea_names_an_event_in_common_or_fires_for_many_of_the_same():
    invited, shared = Wording(0, units(0, 10)), Wording(1, units(0, 10), named=frozenset(("shared",)))
    elsewhere = Wording(2, units(50, 60), named=frozenset(("shared",)))
    assert one_idea(cast(Racer, invited), cast(Racer, shared))
    assert one_idea(cast(Racer, shared), cast(Racer, elsewhere))
    assert not one_idea(cast(Racer, invited), cast(Racer, elsewhere))
