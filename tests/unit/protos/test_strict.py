"""Strict reading: the complaint names the place and the nearest key."""

from enum import StrEnum
from typing import Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protos.errors import ContractError
from protos.strict import convert


class Size(StrEnum):
    """Of an enum."""

    LARGE = "large"


class Inner(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Nested."""

    width: int = 0
    from_name: str = msgspec.field(default="", name="from")


class Outer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """With structs in a list, a dict, an option."""

    title: str
    many: tuple[Inner, ...] = ()
    by_name: dict[str, Inner] = {}
    maybe: Inner | None = None
    colour: Literal["red", "green"] | None = None
    size: Size = Size.LARGE
    pairs: tuple[Size, int] | None = None


def complaint(document: object) -> str:
    said = complaint_or_none(document)
    assert said is not None
    return said


def complaint_or_none(document: object) -> str | None:
    try:
        convert(document, Outer, "file.toml")
    except ContractError as error:
        return str(error)
    return None


def test_a_document_that_fits_becomes_the_struct() -> None:
    assert convert({"title": "a", "many": [{"width": 3}]}, Outer, "f") == Outer(title="a", many=(Inner(width=3),))


def test_a_typo_names_the_nearest_key() -> None:
    assert complaint({"titel": "a"}) == "file.toml: unknown key 'titel'; did you mean 'title'?"


def test_a_typo_inside_names_where_it_stands() -> None:
    assert complaint({"title": "a", "many": [{"widht": 1}]}) == (
        "file.toml: unknown key 'widht' in many[0]; did you mean 'width'?"
    )


@pytest.mark.parametrize(
    "document", [{"title": "a", "by_name": {"x": {"widht": 1}}}, {"title": "", "maybe": {"widht": 1}}]
)
def test_keys_inside_dicts_and_options_are_known_too(document: object) -> None:
    assert complaint(document).endswith("did you mean 'width'?")


def test_a_renamed_field_is_named_as_it_is_written() -> None:
    assert "did you mean 'from'?" in complaint({"title": "a", "maybe": {"form": "x"}})


def test_without_a_near_key_all_are_listed() -> None:
    assert complaint({"title": "a", "zzzzzz": 1}).endswith(
        "known keys: by_name, colour, many, maybe, pairs, size, title"
    )


def test_a_value_that_is_no_choice_names_the_nearest_or_all() -> None:
    assert complaint({"title": "a", "size": "larg"}) == "file.toml: unknown value 'larg' in size; did you mean 'large'?"
    assert complaint({"title": "a", "colour": "grren"}).endswith("did you mean 'green'?")
    assert complaint({"title": "a", "colour": "blue"}).endswith("known values: green, red")


def test_a_place_that_cannot_be_followed_still_gives_the_complaint() -> None:
    assert complaint({"title": "a", "pairs": ["smal", 1]}) == (
        "file.toml: unknown value 'smal' in pairs[0]; see the reference for the values that are known"
    )


def test_a_key_of_another_table_is_not_suggested() -> None:
    assert complaint({"title": "a", "maybe": {"titel": 1}}).endswith("known keys: from, width")


def test_a_value_of_the_wrong_kind_says_what_was_expected_and_where() -> None:
    assert complaint({"title": 1}) == "file.toml: Expected `str`, got `int` at `title`"
    assert complaint({}) == "file.toml: Object missing required field `title`"
    assert complaint([]) == "file.toml: Expected `object`, got `array`"


@given(st.dictionaries(st.text(max_size=6), st.integers() | st.text(max_size=3), max_size=3))
def test_every_complaint_is_one_line(document: dict[str, object]) -> None:
    said = complaint_or_none(document)
    assert said is None or (said.startswith("file.toml: ") and len(said.splitlines()) == 1)
