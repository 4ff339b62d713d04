"""What a node pins and follows: roots and keys that its coordinator tells it of; floors; papers that it asks for."""

from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pytest

from edge_node.errors import Refused, Unreachable
from edge_node.link.coordinator import Registration
from edge_node.membership.clock import Clock
from edge_node.membership.identity import AUTHORITIES, Identity, IdentityFile, authorities_of, has_moved, pinned
from edge_node.membership.newer_roots import newer_roots, under
from edge_node.store.bundles import Bundles
from edge_node.store.papers import PapersFolder
from edge_node.store.release import Papers, Wanted
from edge_node.supervisor.desired import DesiredFile
from edge_node.supervisor.floors import FloorFile, raised
from edge_node.supervisor.following import Following
from edge_node.supervisor.releases import Releases
from protos.desired import Desired, DesiredDeployment
from protos.digest import Digest, digest_of
from protos.envelope import DESIRED, public_bytes, seal
from protos.errors import ContractError
from protos.identity import NodeId
from protos.oci import BundleFile, write_manifest
from tests.unit.protos.signed import (
    ALICE,
    BOB,
    COORDINATOR,
    MALLORY,
    NOW,
    key,
    release,
    root,
    sealed_release,
    sealed_root,
    signers,
)

NODE = NodeId("1" * 32)
NOTHING = digest_of(b"")
FIRST = sealed_root(root())
NEW_KEY = key(9)
PEM = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"


def told(*roots: bytes, keys: tuple[bytes, ...] = (public_bytes(COORDINATOR),)) -> Registration:
    return Registration(NODE, "mqtts://127.0.0.1:8883", "edge/v1", keys, "cam-3", "store-12", roots)


def at_first_contact() -> Identity:
    return pinned(None, told(FIRST), "127.0.0.1:7070")


def test_the_root_is_pinned_at_first_contact_and_names_the_keys() -> None:
    identity = at_first_contact()
    assert identity.roots == (FIRST,)
    assert identity.trusted == {public_bytes(COORDINATOR)}
    assert pinned(identity, told(FIRST), "127.0.0.1:7070").roots == (FIRST,)


def test_a_new_coordinator_key_is_followed_by_root() -> None:
    both = sealed_root(root(2, coordinators=signers(COORDINATOR, NEW_KEY)))
    only = sealed_root(root(3, coordinators=signers(NEW_KEY)))
    identity = pinned(at_first_contact(), told(FIRST, both, only, keys=(public_bytes(NEW_KEY),)), "127.0.0.1:7070")
    assert identity.trusted == {public_bytes(NEW_KEY)}
    assert [held.version for held in identity.trust_roots()] == [1, 2, 3]


def test_what_was_adopted_under_a_former_root_goes_on_after_a_restart(tmp_path: Path) -> None:
    """A node that follows a root, and is restarted before its document comes anew under the new key."""
    desired = Desired(NODE, 1, 1, "2026-01-01T00:00:00Z", "cam-3", "store-12", ())
    kept = tmp_path / "desired.json"
    both = sealed_root(root(2, coordinators=signers(COORDINATOR, NEW_KEY)))
    only = sealed_root(root(3, coordinators=signers(NEW_KEY)))
    identity = pinned(at_first_contact(), told(FIRST, both, only, keys=(public_bytes(NEW_KEY),)), "127.0.0.1:7070")
    for signer, expected in ((COORDINATOR, desired), (MALLORY, None)):
        kept.write_bytes(seal(DESIRED, msgspec.json.encode(desired), signer))
        following = Following(DesiredFile(kept), Clock(0.0, lambda: 0.0, lambda: 0.0))
        following.load(identity)
        assert following.desired == expected
    with pytest.raises(Refused):  # from the network it is not taken any more
        following.hear(seal(DESIRED, msgspec.json.encode(desired), COORDINATOR), identity, NOW)


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        (told(FIRST, keys=(public_bytes(MALLORY),)), "signs with another key"),
        (told(keys=(public_bytes(MALLORY),)), "signs with another key"),
        (told(FIRST, sealed_root(root(2, coordinators=signers(MALLORY)), MALLORY)), "cannot be followed"),
        (told(FIRST, sealed_root(root(2, coordinators=signers(MALLORY)), COORDINATOR)), "cannot be followed"),
        (told(FIRST, sealed_root(root(3))), "roots follow one by one"),
        (told(b"rubbish"), "cannot be followed"),
    ],
)
def test_a_stolen_coordinator_changes_neither_root_nor_keys(answer: Registration, complaint: str) -> None:
    with pytest.raises(Refused, match=complaint):
        pinned(at_first_contact(), answer, "127.0.0.1:7070")


def test_roots_that_anybody_hands_out_count_by_their_signatures_alone() -> None:
    """A node that trusts nobody who answers: its coordinator has another authority by now."""
    identity = at_first_contact()
    second = sealed_root(root(2, coordinators=signers(NEW_KEY), authorities=(PEM,)))
    taken = under(identity, (FIRST, second))
    assert taken is not None
    assert (taken.trusted, authorities_of(taken.roots, ())) == (frozenset({public_bytes(NEW_KEY)}), PEM.encode())
    assert under(taken, (FIRST, second)) is None
    for forged in (
        sealed_root(root(2, coordinators=signers(MALLORY)), MALLORY),
        sealed_root(root(2, (MALLORY,), coordinators=signers(MALLORY)), MALLORY),
        sealed_root(root(2, coordinators=signers(MALLORY)), COORDINATOR),
        b"rubbish",
    ):
        with pytest.raises(ContractError):
            under(identity, (FIRST, forged))


async def test_a_node_that_has_no_root_takes_none_from_a_stranger() -> None:
    assert await newer_roots(msgspec.structs.replace(at_first_contact(), roots=())) is None


def test_a_node_from_before_roots_takes_the_first_that_names_its_key() -> None:
    old = msgspec.structs.replace(at_first_contact(), roots=())
    assert pinned(old, told(FIRST), "127.0.0.1:7070").roots == (FIRST,)
    stranger = sealed_root(root(1, (MALLORY,), coordinators=signers(MALLORY)), MALLORY)
    for keys in ((public_bytes(MALLORY),), (public_bytes(COORDINATOR),)):
        with pytest.raises(Refused, match="signs with another key"):
            pinned(old, told(stranger, keys=keys), "127.0.0.1:7070")


def test_only_another_broker_or_node_needs_new_links() -> None:
    before = at_first_contact()
    assert not has_moved(before, msgspec.structs.replace(before, roots=(FIRST, FIRST), trusted_keys=()))
    assert has_moved(before, msgspec.structs.replace(before, broker_url="mqtts://127.0.0.1:1"))


def test_authorities_come_with_the_root_and_stay_where_it_names_none(tmp_path: Path) -> None:
    file, identity = IdentityFile(tmp_path / "identity.json"), at_first_contact()
    (tmp_path / AUTHORITIES).write_text("old")
    file.save_authorities(identity)
    assert (tmp_path / AUTHORITIES).read_text() == "old"
    second = sealed_root(root(2, authorities=(PEM, PEM)))
    file.save_authorities(pinned(identity, told(FIRST, second), "127.0.0.1:7070"))
    assert (tmp_path / AUTHORITIES).read_text() == PEM + PEM


def version(number: int, digest: Digest = NOTHING) -> DesiredDeployment:
    return DesiredDeployment("shelf", "m", number, digest, ())


def test_the_floor_only_rises_and_survives(tmp_path: Path) -> None:
    assert raised({"m": 5, "n": 1}, (version(3), version(4))) == {"m": 5, "n": 1}
    assert raised({}, (version(3), version(2))) == {"m": 3}
    file = FloorFile(tmp_path / "floors.json")
    file.save({"m": 4})
    assert file.load((version(3),)) == {"m": 4}
    for content in (b"", b"[]", b"\xff"):
        (tmp_path / "floors.json").write_bytes(content)
        assert file.load((version(3),)) == {"m": 3}


@dataclass
class Asked:
    """A coordinator that answers with a manifest and papers, or not at all."""

    manifest_of: bytes
    papers: Papers | None = None
    times: int = 0
    fetched: list[Digest] = field(default_factory=list)

    async def manifest(self, digest: Digest) -> tuple[bytes, Papers]:
        self.times += 1
        if self.papers is None:
            raise Unreachable("nobody answers")
        return self.manifest_of, self.papers

    async def blobs(self, growing: object, on_progress: object) -> None:
        raise AssertionError("not one byte of a model is asked for before its release was checked")


MANIFEST = write_manifest([BundleFile("a", digest_of(b"a"), 1)])
WANTED = Wanted("m", 1, digest_of(MANIFEST))
SIGNED = Papers((sealed_release(release(WANTED.digest)),))


@pytest.fixture
def bundles(tmp_path: Path) -> Bundles:
    made = Bundles(tmp_path)
    made.prepare()
    return made


def releases_in(folder: Path) -> Releases:
    return Releases(PapersFolder(folder), FloorFile(folder / "floors.json"), lambda: (root(),), lambda: NOW)


async def test_papers_are_asked_for_once_and_then_known_offline(bundles: Bundles, tmp_path: Path) -> None:
    asked = Asked(MANIFEST, SIGNED)
    await releases_in(tmp_path).check_or_ask(WANTED, (), bundles, asked)
    assert bundles.known() == {WANTED.digest}
    await releases_in(tmp_path).check_or_ask(WANTED, (), bundles, None)
    assert asked.times == 1


async def test_a_forged_release_is_refused_and_not_kept(bundles: Bundles, tmp_path: Path) -> None:
    forged = Papers((sealed_release(release(WANTED.digest), COORDINATOR),))
    with pytest.raises(Refused, match="no release says"):
        await releases_in(tmp_path).check_or_ask(WANTED, (), bundles, Asked(MANIFEST, forged))
    assert PapersFolder(tmp_path).get(WANTED.digest) == Papers()


async def test_without_a_coordinator_the_reason_is_the_missing_release(bundles: Bundles, tmp_path: Path) -> None:
    bundles.add(WANTED.digest, MANIFEST)
    with pytest.raises(Refused, match="it cannot ask: nobody answers"):
        await releases_in(tmp_path).check_or_ask(WANTED, (), bundles, Asked(MANIFEST))
    with pytest.raises(Refused, match="no release says"):
        await releases_in(tmp_path).check_or_ask(WANTED, (), bundles, None)


async def test_a_version_that_was_promoted_raises_the_floor_for_good(bundles: Bundles, tmp_path: Path) -> None:
    releases = releases_in(tmp_path)
    await releases.check_or_ask(WANTED, (), bundles, Asked(MANIFEST, SIGNED))
    releases.raise_floor(version(2))
    again = releases_in(tmp_path)
    again.open(())
    with pytest.raises(Refused, match="only the publisher can order a downgrade"):
        again.check(WANTED, ())
    again.check(WANTED, (version(1, WANTED.digest),))
    again.forget(WANTED.digest)
    with pytest.raises(Refused, match="no release says"):
        again.check(WANTED, (version(1, WANTED.digest),))


def test_the_publishers_of_tests_are_different_people() -> None:
    assert len({public_bytes(one) for one in (ALICE, BOB, MALLORY, COORDINATOR, NEW_KEY)}) == 5
