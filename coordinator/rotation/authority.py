"""Another authority for certificates. Each step says what comes next.

The certificate of the one to come lies in `ca.pem` from the beginning: trusting an authority that has issued nothing
yet changes nothing. Which one issues is decided by the key in `ca.key` alone.
"""

from collections.abc import Sequence
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from coordinator.authority.certificates import Authority, authority_certificate, open_authority, read_certificate
from coordinator.authority.credential import Credential, parse_credential
from coordinator.authority.files import read_authority
from coordinator.authority.keys import PrivateKey, key_pem, new_key, read_key
from coordinator.errors import Refused
from coordinator.fleet.store import Transaction
from coordinator.folder import Folder, move_file, read_secret, replace_file, write_new
from coordinator.rotation.proposal import propose
from coordinator.trust.next_root import Changes
from protos.digest import digest_of, short
from protos.trust import TrustRoot

COMMAND = "edge-coordinator rotate authority"
SHOWN = 20
"""So many of those who have old certificates are listed."""


def bearers(tx: Transaction, authority: Authority, now: datetime) -> tuple[str, ...]:
    """Who has a certificate that counts and is not of this authority: nodes by name, people and programs."""
    names: dict[str, str] = {node.id: node.full_name for node in tx.nodes.all()}
    revoked = {revocation.principal for revocation in tx.revoked.all()}
    old = (
        issued.principal
        for issued in tx.certificates.all()
        if issued.principal not in revoked
        and now < issued.not_after
        and not authority.issued(read_certificate(issued.pem))
    )
    return tuple(sorted(names.get(principal, principal) for principal in old))


def prepare(folder: Folder, root: TrustRoot, now: datetime) -> tuple[str, ...]:
    """Make the new authority, where it is not there yet, and the root that names it too.

    Raises:
        Refused: the rotation before is not over.
    """
    if not folder.next_authority_key.exists() and _former(folder, root):
        raise Refused(f"the authority before this one is trusted still: {COMMAND} retire --dir {folder.root}")
    write_new(folder.next_authority_key, key_pem(new_key()), 0o600)
    coming = _certified(folder, now)
    _tell_admin(folder)
    if coming in root.authorities:
        return _to_be_activated(folder, root)
    present = read_authority(folder).pem.decode()
    added = tuple(pem for pem in (present, coming) if pem not in root.authorities)
    words = propose(folder, root, Changes(add_authorities=added), now)
    return (
        *words,
        (
            "meanwhile, for subscribers and all others with a credential: edgectl credential renew FILE, so that "
            "they take the new authority's certificates, too"
        ),
        f"next: {COMMAND} activate --dir {folder.root}",
    )


def activate(folder: Folder, root: TrustRoot) -> tuple[str, ...]:
    """Have the new authority issue, from the coordinator's next start on; the old key is gone then.

    Raises:
        Refused: nothing was prepared, or nodes are not told of the new authority yet.
    """
    if not folder.next_authority_key.exists():
        if _former(folder, root):
            return _to_be_retired(folder)
        raise Refused(f"there is no new authority: {COMMAND} prepare --dir {folder.root}")
    if _coming(folder) not in root.authorities:
        raise Refused(
            f"trust root {root.version}, which is in force, does not name the new authority, so nodes would not talk "
            f"to this coordinator: sign and push the root that {COMMAND} prepare wrote"
        )
    move_file(folder.next_authority_key, folder.authority_key)
    return _to_be_retired(folder)


def retire(folder: Folder, root: TrustRoot, old: Sequence[str], now: datetime) -> tuple[str, ...]:
    """Make the root that names the present authority only; when that is in force, trust no other here either.

    Args:
        folder: the coordinator's.
        root: the one in force.
        old: who would be locked out.
        now: the time.

    Raises:
        Refused: a new authority waits, or somebody would be locked out.
    """
    if folder.next_authority_key.exists():
        raise Refused(f"the new authority does not issue yet: {COMMAND} activate --dir {folder.root}")
    authority = read_authority(folder)
    if others := tuple(pem for pem in root.authorities if pem != authority.pem.decode()):
        words = propose(folder, root, _without(others), now)
        again = f"nodes have new certificates within minutes then; next: {COMMAND} retire --dir {folder.root}, again"
        return (*words, again)
    if len(authority.trusted) > 1:
        if old:
            raise Refused(_locked_out(old))
        replace_file(folder.authorities, authority.pem)
        return (
            "the old authority is not trusted any more: start the coordinator again",
            f"then it is done; back up {folder.root}/keys anew",
        )
    return (f"done: trust root {root.version} names the present authority only",)


def stage(folder: Folder, root: TrustRoot, old: Sequence[str]) -> tuple[str, ...]:
    """How far the rotation is."""
    if folder.next_authority_key.exists():
        if _coming(folder) in root.authorities:
            return _to_be_activated(folder, root)
        return (
            f"the new authority is made; trust root {root.version} does not name it yet",
            f"next: {COMMAND} prepare --dir {folder.root} writes the root that does",
        )
    if _former(folder, root):
        return (*_to_be_retired(folder), *([_locked_out(old)] if old else []))
    return (f"one authority, named by trust root {root.version}: no rotation is under way",)


def _to_be_activated(folder: Folder, root: TrustRoot) -> tuple[str, ...]:
    return (f"trust root {root.version} names the new authority; next: {COMMAND} activate --dir {folder.root}",)


def _to_be_retired(folder: Folder) -> tuple[str, ...]:
    return (
        (
            "the new authority is in its place: start the coordinator again, so that it shows and issues certificates "
            "of it (nodes go on; join tokens that nobody used yet have to be made anew)"
        ),
        f"next: {COMMAND} retire --dir {folder.root}",
    )


def _locked_out(old: Sequence[str]) -> str:
    more = f" and {len(old) - SHOWN} more" if len(old) > SHOWN else ""
    return (
        f"certificates of the old authority: {', '.join(old[:SHOWN])}{more}. Nodes renew theirs by themselves within "
        "minutes after the root without the old one, others: edgectl credential renew FILE; retire --force goes on "
        "all the same"
    )


def _former(folder: Folder, root: TrustRoot) -> bool:
    """Whether another authority than the present one is trusted, here or by nodes."""
    authority = read_authority(folder)
    return len(authority.trusted) > 1 or any(pem != authority.pem.decode() for pem in root.authorities)


def _without(authorities: Sequence[str]) -> Changes:
    return Changes(remove_authorities=tuple(short(digest_of(pem.encode())) for pem in authorities))


def _next_key(folder: Folder) -> PrivateKey:
    file = folder.next_authority_key
    return read_key(read_secret(file, folder), str(file))


def _certified(folder: Folder, now: datetime) -> str:
    """The certificate (PEM) of the authority to come, in `ca.pem` after this."""
    key = _next_key(folder)
    pem = folder.authorities.read_bytes()
    if not any(one.public_key() == key.public_key() for one in x509.load_pem_x509_certificates(pem)):
        replace_file(folder.authorities, pem.rstrip(b"\n") + b"\n" + authority_certificate(key, now))
    return _coming(folder)


def _coming(folder: Folder) -> str:
    """As `_certified`, which has been called."""
    found = open_authority(_next_key(folder), folder.authorities.read_bytes(), str(folder.authorities))
    return found.certificate.public_bytes(Encoding.PEM).decode()


def _tell_admin(folder: Folder) -> None:
    """Have the first administrator's credential take both, where it still lies here."""
    if folder.admin.exists():
        held = parse_credential(folder.admin.read_bytes(), str(folder.admin))
        both = Credential(held.certificate, held.key, b"".join(read_authority(folder).authorities))
        replace_file(folder.admin, both.pem, 0o600)
