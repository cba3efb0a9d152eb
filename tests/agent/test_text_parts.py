"""What many different texts have in common becomes a condition; who somebody is does not."""

from agent.cuts import text_parts

PATH, COMMENT = ("$pathname",), ("comment",)


def pages(number: int) -> list[str]:
    return [f"/projects/{one}/settings" for one in range(number)]


def test_addresses_are_told_by_where_they_begin() -> None:
    texts = ["/pricing", "/pricing/teams?plan=2", "https://app.example/pricing#top", *pages(40)]

    assert text_parts(PATH, texts, [30, 10, 5, *([1] * 40)]) == ["/pricing", "/projects"]


def test_a_step_with_a_number_is_a_thing_and_not_a_kind_of_place() -> None:
    found = text_parts(PATH, [*pages(60), "/home"], [1] * 60 + [50])

    assert found == ["/projects", "/home"]


def test_sentences_are_told_by_their_words_in_any_case() -> None:
    texts = ["Too expensive for us", "TOO EXPENSIVE really", "I miss the export", "nothing to add"]

    assert text_parts(COMMENT, texts, [15, 10, 25, 60]) == ["nothing", "expensive", "export", "miss"]


def test_what_nearly_every_text_has_or_few_have_tells_nothing() -> None:
    texts = ["/app/home", "/app/notes", "/app/rare"]

    assert text_parts(PATH, texts, [60, 60, 5]) == ["/app/home", "/app/notes"]


def test_identifiers_names_and_addresses_of_people_are_left_alone() -> None:
    assert text_parts(("token",), [f"a8f{one}" for one in range(50)], [3] * 50) == []
    assert text_parts(("full_name",), ["Ada Lovelace", "Alan Turing"], [40, 40]) == []
    assert text_parts(("email",), ["ada@example.org", "alan@example.org"], [40, 40]) == []
    assert text_parts(PATH, [], []) == []
