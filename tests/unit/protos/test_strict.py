"""Strict reading: the complaint names the place and the nearest key."""

import re
from enum import StrEnum
from typing import Annotated, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protos.errors import ContractError
from protos.strict import convert
from protos.wording import in_words


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
    assert complaint({"title": 1}) == "file.toml: 'title' must be text, not a whole number"
    assert complaint({}) == "file.toml: the key 'title' is missing"
    assert complaint([]) == "file.toml: the document must be a table, not a list"
    assert complaint({"title": "", "many": [{}, {"width": "3"}]}).endswith(
        "'many[1].width' must be a whole number, not text"
    )
    assert complaint({"title": "", "maybe": 3}).endswith("'maybe' must be a table, not a whole number")


def test_an_entry_of_a_table_is_named_by_its_key() -> None:
    by_name = {"door": {"width": 1}, "shelf": {"width": "wide"}}
    assert complaint({"title": "", "by_name": by_name}) == (
        "file.toml: 'by_name.shelf.width' must be a whole number, not text"
    )
    assert complaint({"title": "", "by_name": {"door": {}, "shelf": {"widht": 1}}}) == (
        "file.toml: unknown key 'widht' in by_name.shelf; did you mean 'width'?"
    )


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("Expected `float` > 0.0", "'p' must be above 0"),
        ("Expected `int` >= 1", "'p' must be at least 1"),
        ("Expected `int` <= 65535", "'p' must be at most 65535"),
        ("Expected `array` of length <= 3", "'p' must have at most 3 entries"),
        ("Expected `str` of length >= 1", "'p' must have at least 1 characters"),
        ("Expected `array | null`, got `str`", "'p' must be a list, not text"),
        ("Expected `str | bool`, got `null`", "'p' must be text or true or false, not nothing"),
        ("Object missing required field `url`", "the key 'url' is missing in p"),
        ("Something new", "Something new at 'p'"),
    ],
)
def test_what_msgspec_says_is_said_in_plain_words(said: str, words: str) -> None:
    assert in_words(said, "p") == words


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What msgspec really says of each kind of limit."""

    above: Annotated[float, msgspec.Meta(gt=0)] = 1.0
    port: Annotated[int, msgspec.Meta(ge=0, le=65535)] = 0
    few: Annotated[tuple[str, ...], msgspec.Meta(max_length=1)] = ()


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({"above": 0.0}, "'above' must be above 0"),
        ({"port": -1}, "'port' must be at least 0"),
        ({"port": 65536}, "'port' must be at most 65535"),
        ({"few": ["a", "b"]}, "'few' must have at most 1 entries"),
        ({"few": [1]}, "'few[0]' must be text, not a whole number"),
    ],
)
def test_a_limit_is_said_in_plain_words(document: object, words: str) -> None:
    with pytest.raises(ContractError, match=re.escape(f"f: {words}")):
        convert(document, Limits, "f")


@given(
    st.dictionaries(
        st.text(alphabet="ab.[]`$\n- ", max_size=4) | st.sampled_from(["[...]", "` - at `$.by_name[...]"]),
        st.dictionaries(st.sampled_from(["width", "x", "[...]", "` - at `$[...]"]), st.integers() | st.text()),
    )
)
def test_whatever_the_keys_of_a_table_are_the_complaint_is_one_line(by_name: dict[str, object]) -> None:
    for document in ({"title": "", "by_name": by_name}, {"title": "", **by_name}):
        said = complaint_or_none(document)
        assert said is None or (said.startswith("file.toml: ") and len(said.splitlines()) == 1)


@given(st.dictionaries(st.text(max_size=6), st.integers() | st.text(max_size=3), max_size=3))
def test_every_complaint_is_one_line(document: dict[str, object]) -> None:
    said = complaint_or_none(document)
    assert said is None or (said.startswith("file.toml: ") and len(said.splitlines()) == 1)
