"""A join token works once, for one key (S1); challenges are fresh and ours."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.errors import Refused
from coordinator.fleet.challenge import LIFETIME, RANDOM_BYTES, challenge_secret, check_challenge, new_challenge
from coordinator.fleet.records import IssuedCertificate, JoinTokenRecord
from coordinator.fleet.token_use import Use, judge
from protos.identity import NodeId
from tests.unit.fleet.examples import NOW

MINUTE = timedelta(minutes=1)
NODE = NodeId("a" * 32)
FRESH = JoinTokenRecord("d" * 64, "store-12", None, {}, None, "admin:alice", NOW, NOW + 10 * MINUTE)
USED = replace(FRESH, used_at=NOW, node=NODE)
ISSUED = IssuedCertificate(NODE, "1", "sha256:key", NOW + timedelta(days=90), NOW, b"pem")
SECRET = challenge_secret(b"s" * 32)


def test_a_fresh_token_lets_the_first_key_in() -> None:
    assert judge(FRESH, None, "sha256:key", NOW) is Use.FIRST


def test_the_key_that_used_it_may_ask_again_also_after_its_end() -> None:
    assert judge(USED, ISSUED, "sha256:key", NOW + 60 * MINUTE) is Use.AGAIN


@pytest.mark.parametrize(
    ("token", "key", "after", "complaint"),
    [
        (None, "sha256:key", 0 * MINUTE, "is not known here, or it was deleted: ask for a new one"),
        (USED, "sha256:other", 0 * MINUTE, f"was used already, by node {NODE}"),
        (FRESH, "sha256:key", 10 * MINUTE, "expired at 2026-05-01 10:10 UTC"),
    ],
)
def test_every_other_use_is_refused(token: JoinTokenRecord | None, key: str, after: timedelta, complaint: str) -> None:
    with pytest.raises(Refused, match=complaint):
        judge(token, ISSUED, key, NOW + after)


def test_a_challenge_is_good_for_a_minute() -> None:
    challenge = new_challenge(SECRET, NOW, bytes(RANDOM_BYTES))
    check_challenge(challenge, SECRET, NOW + LIFETIME)
    for moment in (NOW + LIFETIME + timedelta(seconds=1), NOW - MINUTE):
        with pytest.raises(Refused, match="the challenge is too old"):
            check_challenge(challenge, SECRET, moment)


def test_a_challenge_of_another_coordinator_is_refused() -> None:
    challenge = new_challenge(challenge_secret(b"t" * 32), NOW, bytes(RANDOM_BYTES))
    with pytest.raises(Refused, match="was not made by this coordinator"):
        check_challenge(challenge, SECRET, NOW)


@given(st.binary(max_size=80))
def test_garbage_is_no_challenge(garbage: bytes) -> None:
    with pytest.raises(Refused):
        check_challenge(garbage, SECRET, NOW)
