"""Join tokens: what is pasted is what was made, or is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protos.errors import ContractError
from protos.join_token import MAX_ADDRESSES, PREFIX, JoinToken, parse_join_token, secret_digest

SECRET, CA = bytes(range(16)), bytes(range(32))
ADDRESSES = st.lists(st.from_regex(r"[a-z0-9.-]{1,20}:[0-9]{1,5}", fullmatch=True), max_size=MAX_ADDRESSES)


@given(st.binary(min_size=16, max_size=16), st.binary(min_size=32, max_size=32), ADDRESSES)
def test_a_token_survives_its_text(secret: bytes, ca: bytes, addresses: list[str]) -> None:
    token = JoinToken(secret, ca, tuple(addresses))
    assert parse_join_token(f" {token.text}\n") == token


def test_the_secret_is_neither_shown_nor_kept() -> None:
    token = JoinToken(SECRET, CA, ("a:1",))
    assert repr(SECRET) not in repr(token)
    assert token.digest == secret_digest(SECRET)
    assert SECRET.hex() not in token.digest


def test_a_token_that_lost_or_changed_a_letter_is_noticed() -> None:
    text = JoinToken(SECRET, CA, ("192.168.1.4:7071",)).text
    for place in range(len(PREFIX), len(text)):
        with pytest.raises(ContractError):
            parse_join_token(text[:place] + text[place + 1 :])
        other = "A" if text[place] != "A" else "B"
        with pytest.raises(ContractError):
            parse_join_token(text[:place] + other + text[place + 1 :])


@given(st.text())
def test_any_text_is_refused_in_one_line_that_does_not_repeat_it(text: str) -> None:
    with pytest.raises(ContractError) as refused:
        parse_join_token(PREFIX + text)
    assert "\n" not in str(refused.value)
    assert len(text) < 8 or text not in str(refused.value)
