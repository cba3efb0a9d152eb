"""Verdicts: what blocks, and that what cannot be told is not a no."""

from typing import Any

from backtest.verdict import Bar, judge


def numbers(**changed: Any) -> dict[str, Any]:
    """Published numbers that clear the default bar."""
    plain: dict[str, Any] = {
        "precision": 0.4,
        "recall": 0.2,
        "lift_vs_baseline": 2.4,
        "lift_vs_baseline_low": 1.9,
        "closed": {"lift_low": 1.8, "p_stratified": 0.001},
        "counts": {"sample_size": 100, "true_positives": 40},
        "labels": [],
    }
    return plain | changed


def codes(told: dict[str, Any], bar: Bar | None = None, *, selected: bool = False) -> list[str]:
    return [one.code for one in judge(told, bar or Bar(), selected=selected).reasons]


def test_good_numbers_clear() -> None:
    assert judge(numbers(), Bar(), selected=False).clears is True


def test_what_was_found_by_search_needs_a_confirmation() -> None:
    verdict = judge(numbers(q_value=0.01), Bar(), selected=True)

    assert verdict.clears is None
    assert [one.code for one in verdict.reasons] == ["unconfirmed"]


def test_a_find_is_judged_by_its_confirmation_and_its_q_value() -> None:
    assert judge(numbers(confirmed=numbers(), q_value=0.02), Bar(), selected=True).clears is True
    assert codes(numbers(confirmed=numbers(), q_value=0.2), selected=True) == ["chance"]
    assert codes(numbers(confirmed=numbers(recall=0.01), q_value=0.02), selected=True) == ["recall"]


def test_a_lift_that_units_of_the_same_age_share_blocks() -> None:
    """Young units do more of everything and convert more; a grid instant does not see that."""
    assert codes(numbers(lift_vs_baseline_low=0.9)) == ["same_age"]
    assert codes(numbers(lift_vs_baseline_low=None)) == ["same_age"]


def test_every_fault_is_told_with_its_code() -> None:
    weak = numbers(
        precision=0.1,
        recall=None,
        closed={"lift_low": None, "p_stratified": 0.4},
        counts={"sample_size": 10, "true_positives": 2},
        labels=[{"code": "no_lead", "sentence": "Too late."}],
    )

    assert codes(weak, Bar(min_precision=0.3)) == ["lift_low", "few_fires", "few_hits", "recall", "precision", "chance", "no_lead"]


def test_too_little_data_is_no_verdict() -> None:
    verdict = judge(numbers(insufficient={"reason": "needs 20 fires, has 3"}), Bar(), selected=False)

    assert verdict.clears is None
    assert verdict.to_json()["verdict"] == "cannot_tell"
