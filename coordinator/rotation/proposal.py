"""The next trust root as a file to be signed."""

from datetime import datetime
from pathlib import Path

import msgspec

from coordinator.errors import Refused
from coordinator.folder import Folder, replace_file
from coordinator.trust.first_root import LIFETIME
from coordinator.trust.next_root import Changes, next_root
from protos.envelope import TRUST_ROOT, seal, unverified
from protos.errors import ContractError
from protos.trust import TrustRoot, encode_root, newest, read_root


def root_in_force(roots: tuple[bytes, ...]) -> TrustRoot:
    """The root that nodes follow now.

    Raises:
        Refused: there is none.
    """
    root = newest(roots)
    if root is None:
        raise Refused(
            "there is no trust root in force yet: start the coordinator once, and sign the first root where its "
            "publishers have keys of their own (edgectl trust sign)"
        )
    return root


def propose(folder: Folder, held: TrustRoot, changes: Changes, now: datetime) -> tuple[str, ...]:
    """Write the root that follows with these changes; what comes next, in words.

    A file that says the same stays, with the signatures that it has.
    """
    root = next_root(held, changes, now, now + LIFETIME)
    file = folder.root / f"root-{root.version}.json"
    if not _says_same(file, root):
        replace_file(file, seal(TRUST_ROOT, encode_root(root)) + b"\n")
    return (
        f"{file} is the trust root that follows; when its publishers have signed it, nodes follow by themselves:",
        f"  edgectl trust sign {file} --key FILE",
        f"  edgectl trust push {file}",
    )


def _says_same(file: Path, root: TrustRoot) -> bool:
    try:
        there = read_root(unverified(file.read_bytes(), TRUST_ROOT))
    except (OSError, ContractError):
        return False
    return msgspec.structs.replace(there, issued_at=root.issued_at, expires=root.expires) == root
