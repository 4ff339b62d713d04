"""The root that follows the one in force, and whose signatures it still needs. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

import msgspec

from coordinator.errors import WrongUsage
from protos.digest import digest_of, short
from protos.envelope import TRUST_ROOT, signers
from protos.errors import ContractError
from protos.trust import Signer, TrustRoot, checked_root


@dataclass(frozen=True)
class Changes:
    """What is to be different; names and digests are of what goes, a threshold of 0 stays as it is."""

    add_publishers: tuple[Signer, ...] = ()
    remove_publishers: tuple[str, ...] = ()
    threshold: int = 0
    add_coordinators: tuple[Signer, ...] = ()
    remove_coordinators: tuple[str, ...] = ()
    add_authorities: tuple[str, ...] = ()
    remove_authorities: tuple[str, ...] = ()


def next_root(held: TrustRoot, changes: Changes, now: datetime, expires: datetime) -> TrustRoot:
    """The root in force with the changes, one number on.

    Raises:
        WrongUsage: what is to go is not there, or the result is a root that nobody could use.
    """
    root = msgspec.structs.replace(
        held,
        version=held.version + 1,
        publishers=_changed("publisher", held.publishers, changes.remove_publishers, changes.add_publishers),
        threshold=changes.threshold or held.threshold,
        coordinators=_changed("coordinator", held.coordinators, changes.remove_coordinators, changes.add_coordinators),
        authorities=_authorities(held.authorities, changes),
        issued_at=now,
        expires=expires,
    )
    try:
        return checked_root(root)
    except ContractError as error:
        raise WrongUsage(str(error)) from None


def missing_signatures(sealed: bytes, root: TrustRoot, held: TrustRoot | None) -> tuple[str, ...]:
    """Whose signatures a root still needs, in words; empty where nobody's.

    Raises:
        ContractError: not an envelope of a root.
    """
    needed = [("the publishers that it names", root)]
    if held is not None:
        needed.insert(0, (f"the publishers of root {held.version}", held))
    return tuple(filter(None, (_missing(sealed, whose, by) for whose, by in needed)))


def _missing(sealed: bytes, whose: str, by: TrustRoot) -> str:
    found = signers(sealed, TRUST_ROOT, by.publisher_keys)
    lacking = by.threshold - len(found)
    names = ", ".join(signer.name for signer in by.publishers if signer.key not in found)
    return f"{lacking} of {whose} ({names})" if lacking > 0 else ""


def _changed(
    what: str, held: tuple[Signer, ...], removed: Iterable[str], added: tuple[Signer, ...]
) -> tuple[Signer, ...]:
    names = {signer.name for signer in held}
    for name in removed:
        if name not in names:
            raise WrongUsage(f"no {what} is called {name!r}: there are {', '.join(sorted(names))}")
    return (*(signer for signer in held if signer.name not in set(removed)), *added)


def _authorities(held: tuple[str, ...], changes: Changes) -> tuple[str, ...]:
    kept = [pem for pem in held if short(digest_of(pem.encode())) not in changes.remove_authorities]
    if len(kept) + len(changes.remove_authorities) != len(held):
        raise WrongUsage("an authority to remove is not there: edgectl trust show prints their digests")
    return tuple(dict.fromkeys((*kept, *changes.add_authorities)))
