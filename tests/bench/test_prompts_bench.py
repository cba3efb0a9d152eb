"""The measurement of prompts: every one is brought up in every world, and a change of words has rows of its own."""

from pathlib import Path

import pytest

from agent.messages import Message
from agent.prompting import PACKAGED
from beton.bench.prompts import COLUMNS, Spoilt, rows, run_prompts_bench
from beton.bench.scripted import BadModel, GoodModel
from beton.errors import BadInput


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict:
    folder = tmp_path_factory.mktemp("prompts")
    for one in PACKAGED.glob("*.md"):
        (folder / one.name).write_text(one.read_text().replace("last turn", "very last turn"))
    return run_prompts_bench(2, given=["freemium"], folders=["", str(folder)], scale=0.3)


@pytest.mark.long
def test_every_prompt_is_asked_in_every_world(found: dict) -> None:
    assert [(one["world"], one["prompt"]) for one in found["rows"][:4]] == [("freemium", name) for name in ("mine", "task", "again", "last")]
    assert all(one["asked"] >= 1 for one in found["rows"])
    assert found["model"] == "scripted-good"


@pytest.mark.long
def test_a_good_model_answers_all_of_them_usably_and_notes_what_it_saw(found: dict) -> None:
    by = {one["prompt"]: one for one in found["rows"][:4]}

    assert all(one["usable"] == one["asked"] for one in by.values())
    assert by["mine"]["stopped"] == "finished"
    assert by["mine"]["noted"] >= 1
    assert by["last"]["noted"] >= 1


@pytest.mark.long
def test_a_change_of_words_has_another_digest_and_rows_of_its_own(found: dict) -> None:
    first, second = found["rows"][:4], found["rows"][4:]

    assert [one["prompt"] for one, other in zip(first, second, strict=True) if one["digest"] != other["digest"]] == ["last"]


@pytest.mark.long
def test_the_table_has_a_cell_for_each_column(found: dict) -> None:
    assert {len(one) for one in rows(found)} == {len(COLUMNS)}


def test_prompts_that_are_refused_are_said_so(tmp_path: Path) -> None:
    (tmp_path / "mine.md").write_text("---\nvariables: most\n---\nnothing")
    with pytest.raises(BadInput, match="declared and not used"):
        run_prompts_bench(1, given=["freemium"], folders=[str(tmp_path)])


def test_a_spoilt_model_loses_its_first_answer_only() -> None:
    model = Spoilt(GoodModel())
    with pytest.raises(Exception, match="no JSON"):
        model.turn([Message("system", "")], ())

    assert model.turn([Message("system", "")], ()).call is not None
    assert BadModel().name != model.name
