"""The way back for a node that was away while the coordinator's authority changed.

It trusts nobody who answers now, and needs not: trust roots are signed by publishers, so anybody may hand them over,
and the newest says which authorities count. Only a root that follows the one that is held is taken.
"""

import logging

import msgspec

from edge_node.errors import NearfieldError
from edge_node.link.enrollment import ask_roots
from edge_node.membership.identity import Identity
from protos.errors import ContractError
from protos.trust import followed, newest

log = logging.getLogger(__name__)


async def newer_roots(identity: Identity) -> Identity | None:
    """The identity under the newest root that its coordinator's address hands out; None where there is no newer one."""
    if not identity.roots:  # the first root is pinned at enrollment, never here
        return None
    try:
        return under(identity, await ask_roots(identity.enrollment))
    except (NearfieldError, ContractError) as error:
        log.info("no newer trust root from %s: %s", identity.enrollment, error)
        return None


def under(identity: Identity, told: tuple[bytes, ...]) -> Identity | None:
    """The identity after roots that somebody told of; None where none is newer. Pure.

    Raises:
        ContractError: one of them does not follow.
    """
    roots = followed(identity.roots, told)
    root = newest(roots)
    if root is None or roots == identity.roots:
        return None
    keys = tuple(sorted(root.coordinator_keys))
    return msgspec.structs.replace(identity, roots=roots, trusted_keys=keys)
