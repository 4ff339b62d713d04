"""New keys for a coordinator, step by step, on a real folder; roots are signed by its real publisher."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from msgspec import structs

from coordinator.authority.certificates import authority_certificate
from coordinator.authority.files import make_identity, read_authority
from coordinator.authority.keys import new_key
from coordinator.config import CoordinatorConfig
from coordinator.db.control import ControlStore
from coordinator.db.engine import open_engine, sqlite_url
from coordinator.errors import Refused
from coordinator.folder import Folder, make_folder, read_signing_key
from coordinator.registry.roots import TrustRoots
from coordinator.rotation import authority, signing_key
from coordinator.rotation.proposal import root_in_force
from coordinator.trust.first_root import make_first_root, publisher_file, read_first_root
from coordinator.trust.signing_keys import read_key
from protos.envelope import TRUST_ROOT, cosigned, public_bytes, seal
from protos.trust import Signer, TrustRoot, encode_root, follow

NOW = datetime.now(UTC)


class Rotating:
    """A coordinator's folder and the root in force."""

    def __init__(self, root: Path) -> None:
        self.folder = Folder(root)
        make_folder(self.folder, CoordinatorConfig())
        make_identity(self.folder, "alice", NOW)
        make_first_root(self.folder, (), NOW)
        first = read_first_root(self.folder)
        assert first is not None
        self.root = root_in_force((first,))

    def push(self, number: int) -> TrustRoot:
        """Put a root that was proposed in force."""
        file = self.folder.root / f"root-{number}.json"
        sealed = cosigned(file.read_bytes(), TRUST_ROOT, read_key(publisher_file(self.folder)))
        self.root = follow(self.root, sealed)
        return self.root


@pytest.fixture
def rotating(tmp_path: Path) -> Rotating:
    return Rotating(tmp_path / "coord")


def test_a_signing_key_changes_in_three_steps_each_of_which_may_be_repeated(rotating: Rotating) -> None:
    folder, old = rotating.folder, public_bytes(read_signing_key(rotating.folder))
    with pytest.raises(Refused, match="no new signing key"):
        signing_key.activate(folder, rotating.root)
    for _ in range(2):
        assert "root-2.json" in signing_key.prepare(folder, rotating.root, NOW)[0]
    with pytest.raises(Refused, match="does not name the new key"):
        signing_key.activate(folder, rotating.root)
    both = rotating.push(2)
    assert old in both.coordinator_keys
    assert len(both.coordinators) == 2
    assert public_bytes(read_signing_key(folder)) == old
    with pytest.raises(Refused, match="not in use yet"):
        signing_key.retire(folder, both, NOW)
    for _ in range(2):
        assert "start the coordinator again" in signing_key.activate(folder, both)[0]
    with pytest.raises(Refused, match="first end the rotation"):
        signing_key.prepare(folder, both, NOW)
    signing_key.retire(folder, both, NOW)
    only = rotating.push(3)
    assert only.coordinator_keys == {public_bytes(read_signing_key(folder))} != {old}
    assert signing_key.retire(folder, only, NOW)[0].startswith("done")
    assert "no rotation" in signing_key.stage(folder, only)[0]


def test_signatures_that_were_collected_outlive_a_step_that_is_repeated(rotating: Rotating) -> None:
    signing_key.prepare(rotating.folder, rotating.root, NOW)
    file = rotating.folder.root / "root-2.json"
    file.write_bytes(cosigned(file.read_bytes(), TRUST_ROOT, read_key(publisher_file(rotating.folder))))
    signed = file.read_bytes()
    signing_key.prepare(rotating.folder, rotating.root, datetime.now(UTC))
    assert file.read_bytes() == signed


def test_an_old_backup_is_told_that_nobody_believes_it(rotating: Rotating) -> None:
    backup = rotating.folder.signing_key.read_bytes()
    signing_key.prepare(rotating.folder, rotating.root, NOW)
    signing_key.activate(rotating.folder, rotating.push(2))
    signing_key.retire(rotating.folder, rotating.root, NOW)
    only = rotating.push(3)
    rotating.folder.signing_key.write_bytes(backup)
    with pytest.raises(Refused, match="nodes do not believe this coordinator"):
        signing_key.prepare(rotating.folder, only, NOW)


def test_an_authority_changes_in_three_steps_each_of_which_may_be_repeated(rotating: Rotating) -> None:
    folder, old = rotating.folder, read_authority(rotating.folder)
    with pytest.raises(Refused, match="no new authority"):
        authority.activate(folder, rotating.root)
    for _ in range(2):
        authority.prepare(folder, rotating.root, NOW)
    assert read_authority(folder).fingerprint == old.fingerprint
    assert folder.admin.read_bytes().count(b"BEGIN CERTIFICATE") == 3
    with pytest.raises(Refused, match="does not name the new authority"):
        authority.activate(folder, rotating.root)
    both = rotating.push(2)
    for _ in range(2):
        assert "start the coordinator again" in authority.activate(folder, both)[0]
    new = read_authority(folder)
    assert new.fingerprint != old.fingerprint
    assert set(both.authorities) == {old.pem.decode(), new.pem.decode()}
    with pytest.raises(Refused, match="trusted still"):
        authority.prepare(folder, both, NOW)
    authority.retire(folder, both, ("store/cam-3",), NOW)
    only = rotating.push(3)
    assert only.authorities == (new.pem.decode(),)
    with pytest.raises(Refused, match="store/cam-3"):
        authority.retire(folder, only, ("store/cam-3",), NOW)
    assert len(read_authority(folder).trusted) == 2
    authority.retire(folder, only, (), NOW)
    assert read_authority(folder).fingerprint == new.fingerprint
    assert len(read_authority(folder).trusted) == 1
    assert authority.retire(folder, only, (), NOW)[0].startswith("done")


def test_a_root_that_would_cut_nodes_off_is_not_put_in_force(tmp_path: Path, rotating: Rotating) -> None:
    """A root without the key, or without the authority, of the coordinator that runs now; with both it is taken."""
    store = ControlStore(open_engine(sqlite_url(tmp_path / "control.db")))
    store.prepare()
    publisher, other = read_key(publisher_file(rotating.folder)), Signer("other", b"k" * 32)
    present = read_authority(rotating.folder).pem.decode()
    own = public_bytes(read_signing_key(rotating.folder))
    roots = TrustRoots(store, read_first_root(rotating.folder), own, lambda: None, present)
    roots.prepare()
    stranger = authority_certificate(new_key(), NOW).decode()
    next_one = structs.replace(rotating.root, version=2)
    for root, missing in (
        (structs.replace(next_one, coordinators=(other,)), "the key"),
        (structs.replace(next_one, authorities=(stranger,)), "the authority"),
    ):
        with pytest.raises(Refused, match=f"does not name {missing}"):
            roots.push(seal(TRUST_ROOT, encode_root(root), publisher))
    both = structs.replace(next_one, authorities=(present, stranger), coordinators=(*next_one.coordinators, other))
    assert roots.push(seal(TRUST_ROOT, encode_root(both), publisher)).root == both
    store.close()
