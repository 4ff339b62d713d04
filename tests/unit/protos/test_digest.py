"""Content digests."""

import contextlib
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protos.digest import checked_digest, digest_of, hex_of, short
from protos.errors import ContractError


@given(st.binary())
def test_a_digest_is_sha256_as_oci_writes_it(content: bytes) -> None:
    digest = digest_of(content)
    assert digest == "sha256:" + hashlib.sha256(content).hexdigest()
    assert checked_digest(digest) == digest
    assert hex_of(digest) == hashlib.sha256(content).hexdigest()
    assert short(digest) == hex_of(digest)[:12]


@pytest.mark.parametrize(
    "text", ["", "sha256:", "sha256:" + "A" * 64, "sha256:" + "0" * 63, "sha512:" + "0" * 64, "sha256:../../etc/passwd"]
)
def test_what_is_no_digest_is_refused(text: str) -> None:
    with pytest.raises(ContractError, match="is not a digest: expected sha256: and 64 hexadecimal digits"):
        checked_digest(text)


@given(st.text())
def test_a_text_that_passes_names_one_file_and_no_path(text: str) -> None:
    with contextlib.suppress(ContractError):
        assert hex_of(checked_digest(text)).isalnum()


def test_a_digest_with_a_newline_behind_it_is_refused() -> None:
    with pytest.raises(ContractError):
        checked_digest(digest_of(b"") + "\n")
