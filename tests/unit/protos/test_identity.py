"""Ids and names."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protos.errors import ContractError
from protos.identity import checked_name, is_id, is_name, node_id, stream_id


@given(st.binary(min_size=16, max_size=16))
def test_an_id_is_the_hexadecimal_of_its_16_bytes(raw: bytes) -> None:
    assert is_id(node_id(raw))
    assert bytes.fromhex(stream_id(raw)) == raw


@given(st.binary().filter(lambda raw: len(raw) != 16))
def test_other_lengths_make_no_id(raw: bytes) -> None:
    with pytest.raises(ValueError, match="16 random bytes"):
        node_id(raw)


@pytest.mark.parametrize("text", ["", "0" * 31, "0" * 33, "A" * 32, "g" * 32, "0" * 32 + "\n"])
def test_what_is_no_id(text: str) -> None:
    assert not is_id(text)


@pytest.mark.parametrize("text", ["a", "cam-3", "store_12.north", "0" * 63])
def test_names(text: str) -> None:
    assert checked_name(text, "node name") == text


@pytest.mark.parametrize("text", ["", "-a", "a-", "A", "a b", "a/b", "a+", "#", "..", "ä", "a\n", "0" * 64])
def test_what_is_no_name_is_refused_with_the_rule(text: str) -> None:
    with pytest.raises(ContractError, match=r"^node name .* is not a name: use 1 to 63 of"):
        checked_name(text, "node name")


@given(st.text())
def test_a_name_never_carries_a_wildcard_a_slash_or_a_dot_segment(text: str) -> None:
    if is_name(text):
        assert not set(text) & set("/+#\0")
        assert text not in {".", ".."}
