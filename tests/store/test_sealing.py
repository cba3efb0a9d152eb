import pytest
from hypothesis import given
from hypothesis import strategies as st

from beton.store.sealing import Place, SealBroken, Sealer, UnknownKey, sealed_with

KEY, OTHER = bytes(range(32)), bytes(range(32, 64))
PLACE = Place("wsp_default", "connection", "con_1", "api_key_sealed")
secret_texts = st.text(max_size=200)


@given(secret_texts)
def test_what_was_sealed_opens_where_it_was_sealed(secret: str) -> None:
    sealer = Sealer({"k1": KEY})
    assert sealer.open(sealer.seal(secret, PLACE), PLACE) == secret


@given(secret_texts, st.integers(0, 3))
def test_a_sealed_text_opens_in_no_other_place(secret: str, part: int) -> None:
    sealer = Sealer({"k1": KEY})
    elsewhere = Place(*(f"{value}x" if index == part else value for index, value in enumerate(PLACE)))
    with pytest.raises(SealBroken):
        sealer.open(sealer.seal(secret, PLACE), elsewhere)


@given(st.text(min_size=8, max_size=50), st.data())
def test_an_altered_text_does_not_open(secret: str, data: st.DataObject) -> None:
    sealer = Sealer({"k1": KEY})
    sealed = sealer.seal(secret, PLACE)
    head, _, body = sealed.rpartition(".")
    at = data.draw(st.integers(0, len(body.rstrip("=")) - 3))
    changed = body[:at] + ("A" if body[at] != "A" else "B") + body[at + 1 :]
    with pytest.raises(SealBroken) as refused:
        sealer.open(f"{head}.{changed}", PLACE)
    assert secret not in str(refused.value)


@pytest.mark.parametrize("text", ["", "phx_in_the_clear", "v1.k1", "v2.k1.AAAA", "v1.k1.!!!", "v1.k1."])
def test_what_is_not_sealed_is_refused(text: str) -> None:
    with pytest.raises(SealBroken):
        Sealer({"k1": KEY}).open(text, PLACE)


def test_the_same_secret_never_seals_to_the_same_text() -> None:
    sealer = Sealer({"k1": KEY})
    assert len({sealer.seal("phx_1", PLACE) for _ in range(50)}) == 50


def test_a_former_key_opens_and_the_present_one_seals() -> None:
    sealed = Sealer({"old": OTHER}).seal("phx_1", PLACE)
    both = Sealer({"new": KEY, "old": OTHER})
    assert both.open(sealed, PLACE) == "phx_1"
    resealed = both.reseal(sealed, PLACE)
    assert resealed is not None
    assert sealed_with(resealed) == "new"
    assert both.reseal(resealed, PLACE) is None
    assert Sealer({"new": KEY}).open(resealed, PLACE) == "phx_1"


def test_a_key_that_is_gone_is_named() -> None:
    sealed = Sealer({"old": OTHER}).seal("phx_1", PLACE)
    with pytest.raises(UnknownKey, match="old"):
        Sealer({"new": KEY}).open(sealed, PLACE)


def test_a_sealer_does_not_print_its_keys() -> None:
    assert repr(Sealer({"k1": KEY})) == "Sealer(active='k1')"
