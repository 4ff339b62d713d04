"""Which version of a model a node may adopt and load. Pure: raises or returns, touches nothing.

The rules:
- A release must say that exactly this bundle is this version, signed by the threshold of the publishers that the
  trust root in force names. Neither it nor the root may have expired.
- Never below the floor (the newest version of the model that has passed its probation here), but by a permit that
  the publishers signed for this version, this floor, and this time.
- A version that is the last good one of a deployment here is always allowed again: it was released under a root that
  this node has held, and neither an expiry nor a change of keys stops what serves.

    check_release(version, papers, standing)      # before a download, and before every load
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from edge_node.errors import Refused
from protos.digest import Digest
from protos.errors import ContractError
from protos.release import Downgrade, Release, open_downgrade, open_release, unverified_release
from protos.trust import TrustRoot

Statement = TypeVar("Statement", Release, Downgrade)

MAX_PAPERS = 16
"""So many releases and so many permits are looked at for one bundle."""
MAX_TOLD = 64
"""So many of each are verified when somebody sends them: each costs time."""


@dataclass(frozen=True)
class Papers:
    """The signed envelopes that belong to one bundle: releases and downgrade permits."""

    releases: tuple[bytes, ...] = ()
    downgrades: tuple[bytes, ...] = ()


@dataclass(frozen=True)
class Wanted:
    """A version as a desired document names it."""

    model: str
    version: int
    digest: Digest

    def __str__(self) -> str:
        """For people."""
        return f"{self.model}@{self.version}"


@dataclass(frozen=True)
class Standing:
    """What this node knows of a version: the roots that it has held, oldest first; the floor of the model (0: none);
    whether it is the last good version of a deployment; the time.
    """

    roots: Sequence[TrustRoot]
    floor: int
    is_last_good: bool
    now: datetime


def check_release(wanted: Wanted, papers: Papers, standing: Standing) -> None:
    """Nothing, where the version may be adopted or loaded.

    Raises:
        Refused: why it may not.
    """
    if not standing.roots:
        raise Refused(f"{wanted}: this node has no trust root yet: edgectl trust show says what is missing")
    root = standing.roots[-1]
    if standing.is_last_good and any(_released(wanted, papers, held) for held in standing.roots):
        return
    released = _released(wanted, papers, root)
    if not released:
        raise Refused(_why_not(wanted, papers, root))
    if root.has_expired(standing.now):
        raise Refused(f"{wanted}: trust root {root.version} has expired: make the next one with edgectl trust update")
    if all(_has_expired(release.expires, standing.now) for release in released):
        raise Refused(f"{wanted}: its release has expired: sign it anew with edgectl model sign {wanted}")
    if wanted.version < standing.floor and not _is_permitted(wanted, papers, root, standing):
        raise Refused(
            f"{wanted}: version {standing.floor} has proven itself here, and only the publisher can order a downgrade: "
            f"edgectl model permit-downgrade {wanted} --below {standing.floor}"
        )


def trustworthy(papers: Papers, roots: Sequence[TrustRoot]) -> Papers:
    """Those of the papers that enough publishers of some root signed: the others are not worth keeping."""
    releases, downgrades = papers.releases[:MAX_TOLD], papers.downgrades[:MAX_TOLD]
    return Papers(
        tuple(sealed for sealed in releases if any(_opened((sealed,), open_release, root) for root in roots)),
        tuple(sealed for sealed in downgrades if any(_opened((sealed,), open_downgrade, root) for root in roots)),
    )


def _released(wanted: Wanted, papers: Papers, root: TrustRoot) -> list[Release]:
    opened = _opened(papers.releases, open_release, root)
    return [release for release in opened if _names(release) == wanted]


def _is_permitted(wanted: Wanted, papers: Papers, root: TrustRoot, standing: Standing) -> bool:
    permits = (permit for permit in _opened(papers.downgrades, open_downgrade, root) if _names(permit) == wanted)
    return any(standing.floor <= permit.below and not _has_expired(permit.expires, standing.now) for permit in permits)


def _opened(
    envelopes: Iterable[bytes], open_one: Callable[[bytes, TrustRoot], Statement], root: TrustRoot
) -> list[Statement]:
    """What enough publishers signed; anything else is as good as not there."""
    opened: list[Statement] = []
    for sealed in list(envelopes)[:MAX_PAPERS]:
        try:
            opened.append(open_one(sealed, root))
        except ContractError:
            continue
    return opened


def _names(statement: Release | Downgrade) -> Wanted:
    return Wanted(statement.model, statement.version, statement.digest)


def _has_expired(expires: datetime | None, now: datetime) -> bool:
    return expires is not None and now >= expires


def _why_not(wanted: Wanted, papers: Papers, root: TrustRoot) -> str:
    """The complaint of the release that says the right thing, if there is one."""
    for sealed in papers.releases[:MAX_PAPERS]:
        try:
            if _names(unverified_release(sealed)) == wanted:
                open_release(sealed, root)
        except ContractError as error:
            return f"{wanted}: its release is not valid here: {error}"
    return f"{wanted}: no release says that this bundle is that version: sign it with edgectl model sign {wanted}"
