"""Publishers' keys as files, the first root of a folder, and the root that follows."""

from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.authority.files import make_identity
from coordinator.cli.publisher import publisher_keys, read_release, released, write_envelope
from coordinator.config import CoordinatorConfig
from coordinator.errors import BadInput, Refused, WrongUsage
from coordinator.folder import Folder, make_folder, read_signing_key
from coordinator.trust.first_root import make_first_root, publisher_file, read_first_root
from coordinator.trust.next_root import Changes, missing_signatures, next_root
from coordinator.trust.signing_keys import make_key, parse_public, public_file, public_line, read_key, read_public
from protos.digest import digest_of, short
from protos.envelope import RELEASE, TRUST_ROOT, cosigned, public_bytes, seal, unverified
from protos.errors import ContractError
from protos.release import unverified_release
from protos.trust import Signer, encode_root, open_root, read_root
from tests.unit.protos.signed import ALICE, BOB, NOW, root, signers

DIGEST = digest_of(b"bundle")
WANTED = ("m", 1, DIGEST)
PEM = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"


def test_a_key_is_secret_and_never_overwritten(tmp_path: Path) -> None:
    file = tmp_path / "alice.key"
    signer = make_key(file)
    assert signer == read_public(public_file(file)) == Signer("alice", public_bytes(read_key(file)))
    assert file.stat().st_mode & 0o777 == 0o600
    with pytest.raises(Refused, match="never overwritten"):
        make_key(file)
    file.chmod(0o640)
    with pytest.raises(Refused, match="may be read by others: chmod 600"):
        read_key(file)


@pytest.mark.parametrize("content", [b"", b"\xff", b"c2hvcnQ=", b"not base64!"])
def test_what_is_no_key_is_told_in_one_line(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "k"
    file.write_bytes(content)
    file.chmod(0o600)
    for reader in (read_key, read_public):
        with pytest.raises(BadInput) as complaint:
            reader(file)
        assert "\n" not in str(complaint.value)
    with pytest.raises(BadInput, match="absent"):
        read_key(tmp_path / "absent")


@given(st.text())
def test_no_text_breaks_the_reader_of_public_keys(text: str) -> None:
    with pytest.raises(ContractError):
        parse_public(text)
    assert parse_public(public_line(Signer("a", bytes(32)))) == Signer("a", bytes(32))


def test_a_command_that_signs_says_where_keys_come_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NEARFIELD_PUBLISHER_KEY", raising=False)
    with pytest.raises(WrongUsage, match="--key FILE, or NEARFIELD_PUBLISHER_KEY=FILE"):
        publisher_keys(())
    for name in ("a.key", "b.key"):
        make_key(tmp_path / name)
    monkeypatch.setenv("NEARFIELD_PUBLISHER_KEY", f"{tmp_path / 'a.key'}:{tmp_path / 'b.key'}")
    assert len(publisher_keys(None)) == 2
    assert len(publisher_keys([tmp_path / "a.key"])) == 1


def test_a_signature_is_added_to_the_release_that_is_there() -> None:
    first = released(b"", WANTED, [ALICE], NOW, None)
    both = released(first, WANTED, [BOB], NOW + timedelta(days=1), None)
    assert unverified(both, RELEASE) == unverified(first, RELEASE)
    assert len(both) > len(first)
    for anew in (released(first, ("m", 2, DIGEST), [BOB], NOW, None), released(first, WANTED, [BOB], NOW, NOW)):
        assert unverified(anew, RELEASE) != unverified(first, RELEASE)
    assert unverified_release(released(b"", WANTED, [ALICE], NOW, NOW)).expires == NOW


def test_a_file_of_signatures_is_read_as_it_was_written(tmp_path: Path) -> None:
    file = tmp_path / "release.json"
    write_envelope(file, released(b"", WANTED, [ALICE], NOW, None))
    assert read_release(file)[1].model == "m"
    file.write_bytes(b"x" * 100_000)
    with pytest.raises(BadInput, match="far too large"):
        read_release(file)
    file.write_bytes(b"{}")
    with pytest.raises(BadInput, match="not a signed document"):
        read_release(file)


def initialised(folder: Path) -> Folder:
    made = Folder(folder)
    make_folder(made, CoordinatorConfig())
    make_identity(made, "tester", NOW)
    return made


def test_init_makes_a_publisher_of_its_own_and_a_root_that_it_signed(tmp_path: Path) -> None:
    folder = initialised(tmp_path)
    assert make_first_root(folder, (), NOW) is not None
    sealed = read_first_root(folder)
    assert sealed is not None
    made = open_root(sealed)
    assert made.coordinator_keys == {public_bytes(read_signing_key(folder))}
    assert made.publisher_keys == {public_bytes(read_key(publisher_file(folder)))}
    assert made.publisher_keys.isdisjoint(made.coordinator_keys)
    assert len(made.authorities) == 1
    publisher_file(folder).unlink()
    assert make_first_root(folder, (), NOW) is None
    assert not publisher_file(folder).exists()


def test_publishers_may_bring_their_keys_and_sign_later(tmp_path: Path) -> None:
    folder = initialised(tmp_path / "coord")
    for name in ("alice.key", "bob.key"):
        make_key(tmp_path / name)
    first = make_first_root(folder, (tmp_path / "alice.key.pub", tmp_path / "bob.key.pub"), NOW)
    assert first is not None
    assert first.publisher_key is None
    sealed = read_first_root(folder) or b""
    with pytest.raises(ContractError, match="not signed"):
        open_root(sealed)
    signed = cosigned(sealed, TRUST_ROOT, read_key(tmp_path / "bob.key"))
    assert [one.name for one in open_root(signed).publishers] == ["alice", "bob"]


def test_the_next_root_is_the_one_in_force_with_changes() -> None:
    held = root(publishers=(ALICE,), authorities=(PEM,))
    (bob,) = signers(BOB)
    changes = Changes(
        add_publishers=(Signer("bob", bob.key),), threshold=2, remove_authorities=(short(digest_of(PEM.encode())),)
    )
    after = next_root(held, changes, NOW, NOW + timedelta(days=1))
    assert (after.version, after.threshold, after.authorities) == (2, 2, ())
    assert [one.name for one in after.publishers] == ["k0", "bob"]
    assert after.coordinators == held.coordinators


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        (Changes(remove_publishers=("carol",)), "no publisher is called 'carol': there are k0"),
        (Changes(remove_publishers=("k0",)), "0 publishers"),
        (Changes(threshold=2), "threshold 2 of 1"),
        (Changes(remove_coordinators=("x",)), "no coordinator is called"),
        (Changes(remove_authorities=("abc",)), "an authority to remove is not there"),
        (Changes(add_publishers=signers(ALICE)), "twice"),
        (Changes(add_publishers=signers(BOB)), "same name"),
    ],
)
def test_a_root_that_nobody_could_use_is_not_written(changes: Changes, why: str) -> None:
    with pytest.raises(WrongUsage, match=why):
        next_root(root(), changes, NOW, NOW)


def test_it_is_told_whose_signatures_are_missing() -> None:
    held, after = root(), root(2, (BOB,))
    unsigned = seal(TRUST_ROOT, encode_root(after))
    assert missing_signatures(unsigned, after, held) == (
        "1 of the publishers of root 1 (k0)",
        "1 of the publishers that it names (k0)",
    )
    signed = cosigned(cosigned(unsigned, TRUST_ROOT, ALICE), TRUST_ROOT, BOB)
    assert missing_signatures(signed, after, held) == ()
    assert read_root(unverified(signed, TRUST_ROOT)) == after
