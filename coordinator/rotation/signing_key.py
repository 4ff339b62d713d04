"""Another key for desired state, commands and acknowledgements. Each step says what comes next."""

from datetime import datetime

from coordinator.errors import Refused
from coordinator.folder import Folder, move_file, new_signing_key, read_signing_key, write_new
from coordinator.rotation.proposal import propose
from coordinator.trust.next_root import Changes
from protos.envelope import public_bytes
from protos.trust import Signer, TrustRoot

COMMAND = "edge-coordinator rotate signing-key"


def prepare(folder: Folder, root: TrustRoot, now: datetime) -> tuple[str, ...]:
    """Make the new key, where it is not there yet, and the root that names it too.

    Raises:
        Refused: the rotation before is not over.
    """
    others = _others(folder, root)
    if others and not folder.next_signing_key.exists():
        raise Refused(
            f"trust root {root.version} names other keys of the coordinator, too ({', '.join(others)}): first end the "
            f"rotation before this one: {COMMAND} retire --dir {folder.root}"
        )
    write_new(folder.next_signing_key, new_signing_key(), 0o600)
    key = _next_key(folder)
    if key in root.coordinator_keys:
        return _to_be_activated(folder, root)
    new = Signer(f"coordinator-{root.version + 1}", key)
    words = propose(folder, root, Changes(add_coordinators=(new,)), now)
    return (*words, f"next: {COMMAND} activate --dir {folder.root}")


def activate(folder: Folder, root: TrustRoot) -> tuple[str, ...]:
    """Put the new key in the place of the old one, which is gone then.

    Raises:
        Refused: nothing was prepared, or nodes are not told of the new key yet.
    """
    if not folder.next_signing_key.exists():
        if _others(folder, root):
            return _to_be_retired(folder)
        raise Refused(f"there is no new signing key: {COMMAND} prepare --dir {folder.root}")
    if _next_key(folder) not in root.coordinator_keys:
        raise Refused(
            f"trust root {root.version}, which is in force, does not name the new key, so nodes would not believe it: "
            f"sign and push the root that {COMMAND} prepare wrote"
        )
    move_file(folder.next_signing_key, folder.signing_key)
    return _to_be_retired(folder)


def retire(folder: Folder, root: TrustRoot, now: datetime) -> tuple[str, ...]:
    """Make the root that names the present key only.

    Raises:
        Refused: a new key waits.
    """
    if folder.next_signing_key.exists():
        raise Refused(f"the new signing key is not in use yet: {COMMAND} activate --dir {folder.root}")
    others = _others(folder, root)
    if not others:
        return (f"done: trust root {root.version} names the present signing key only; back up {folder.root}/keys anew",)
    words = propose(folder, root, Changes(remove_coordinators=others), now)
    return (*words, "then nodes believe nobody any more who has the old key")


def stage(folder: Folder, root: TrustRoot) -> tuple[str, ...]:
    """How far the rotation is."""
    if folder.next_signing_key.exists():
        if _next_key(folder) in root.coordinator_keys:
            return _to_be_activated(folder, root)
        return (
            f"the new signing key is made; trust root {root.version} does not name it yet",
            f"next: {COMMAND} prepare --dir {folder.root} writes the root that does",
        )
    if _others(folder, root):
        return _to_be_retired(folder)
    return (f"one signing key, named by trust root {root.version}: no rotation is under way",)


def _to_be_activated(folder: Folder, root: TrustRoot) -> tuple[str, ...]:
    return (f"trust root {root.version} names the new signing key; next: {COMMAND} activate --dir {folder.root}",)


def _to_be_retired(folder: Folder) -> tuple[str, ...]:
    return (
        "the new signing key is in its place: start the coordinator again, so that it signs with it (nodes go on)",
        f"next: {COMMAND} retire --dir {folder.root}",
    )


def _next_key(folder: Folder) -> bytes:
    return public_bytes(read_signing_key(folder, folder.next_signing_key))


def _others(folder: Folder, root: TrustRoot) -> tuple[str, ...]:
    """The names of the coordinator's keys that the root has beside the present one.

    Raises:
        Refused: it does not have the present one.
    """
    own = public_bytes(read_signing_key(folder))
    if own not in root.coordinator_keys:
        raise Refused(
            f"trust root {root.version} does not name the key in {folder.signing_key}: nodes do not believe this "
            "coordinator; restore its keys from your newest backup, or have the publishers sign a root that names it "
            "(edgectl trust update --add-coordinator)"
        )
    return tuple(signer.name for signer in root.coordinators if signer.key != own)
