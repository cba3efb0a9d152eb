"""Prompts: what is declared is used, what is used is given, and every change has another digest."""

from pathlib import Path

import pytest

from agent.prompting import PACKAGED, PromptRefused, load_prompts, read_prompt

GIVEN = {
    "mine": {"most": "10", "longest": "400"},
    "task": dict.fromkeys(("question", "tried", "bar", "events", "remembered", "facts"), "x"),
    "again": {"fault": "x"},
    "last": {},
}


def test_the_packaged_prompts_are_those_that_are_used() -> None:
    prompts = load_prompts()

    assert set(prompts.digests) == set(GIVEN)
    for name, given in GIVEN.items():
        assert "{{" not in prompts[name].filled(**given)
    assert all(len(one) == 64 for one in prompts.digests.values())


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("no head", "begins with"),
        ("---\nvariables: a\n---\nnothing", "declared and not used"),
        ("---\nvariables:\n---\n{{a}}", "used and not declared"),
        ("---\nvariables: a, a\n---\n{{a}}", "twice"),
        ("---\nvariables: A b\n---\n{{a}}", "no name"),
    ],
)
def test_a_prompt_that_is_not_what_it_says_is_refused(content: str, why: str) -> None:
    with pytest.raises(PromptRefused, match=why):
        read_prompt("one", content)


def test_what_is_missing_or_unused_is_refused() -> None:
    prompt = read_prompt("one", "---\nvariables: a, b\n---\n{{a}} {{ b }}")

    assert prompt.filled(a="1", b="2") == "1 2"
    with pytest.raises(PromptRefused, match="given for b"):
        prompt.filled(a="1")
    with pytest.raises(PromptRefused, match="called c"):
        prompt.filled(a="1", b="2", c="3")


def test_what_is_inserted_is_not_looked_at_again() -> None:
    prompt = read_prompt("one", "---\nvariables: a, b\n---\n{{a}} {{b}}")

    assert prompt.filled(a="{{b}}", b="\\1 {{a}}") == "{{b}} \\1 {{a}}"


def test_a_changed_text_has_another_digest(tmp_path: Path) -> None:
    for one in PACKAGED.glob("*.md"):
        (tmp_path / one.name).write_text(one.read_text())
    (tmp_path / "last.md").write_text((tmp_path / "last.md").read_text() + "Be brief.")
    mine, theirs = load_prompts(tmp_path).digests, load_prompts().digests

    assert {name for name in mine if mine[name] != theirs[name]} == {"last"}
    with pytest.raises(PromptRefused, match="no prompt called"):
        load_prompts(tmp_path)["nothing"]


def test_a_folder_without_prompts_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PromptRefused, match="no prompts"):
        load_prompts(tmp_path)
