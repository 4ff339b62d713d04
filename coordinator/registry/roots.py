"""The trust roots that nodes are told of: the first of the folder, then those pushed. Rules: `protos.trust`."""

from collections.abc import Callable
from dataclasses import dataclass

from coordinator.errors import BadInput, Conflict, Refused
from coordinator.registry.records import Store
from protos.envelope import TRUST_ROOT, unverified
from protos.errors import ContractError
from protos.trust import TrustRoot, follow, newest, open_root


@dataclass(frozen=True)
class Trust:
    """The envelopes of all roots, the oldest first; a first root that nobody has signed yet, or None."""

    roots: tuple[bytes, ...]
    unsigned: bytes | None

    @property
    def root(self) -> TrustRoot | None:
        """The root in force."""
        return newest(self.roots)


class TrustRoots:
    """Every method may be called from any thread.

    Args:
        store: where roots are kept.
        first: the envelope that `edge-coordinator init` made, signed or not; None where there is none.
        own_key: the raw public key that this coordinator signs with.
        on_changed: called after a new root: every node has to hear of it.
        authority: the certificate (PEM) of the authority that issues now; empty: it is not asked for in a root.
    """

    def __init__(
        self,
        store: Store,
        first: bytes | None,
        own_key: bytes,
        on_changed: Callable[[], None],
        authority: str = "",
    ) -> None:
        self._authority = authority.strip()
        self._store = store
        self._first = first
        self._own_key = own_key
        self._on_changed = on_changed

    def prepare(self) -> None:
        """Take over the first root of the folder, once it is signed."""
        with self._store.write() as tx:
            if self._first is not None and not tx.roots.all() and _is_signed(self._first):
                tx.roots.add(open_root(self._first).version, self._first)

    def trust(self) -> Trust:
        """The roots."""
        with self._store.read() as tx:
            roots = tx.roots.all()
        return Trust(roots, None if roots else self._first)

    def push(self, sealed: bytes) -> Trust:
        """The next root, or the first one once it is signed.

        Raises:
            BadInput: it is none.
            Refused: it does not follow, or would make nodes disbelieve this coordinator.
            Conflict: there is no first root to sign.
        """
        with self._store.write() as tx:
            root = self._next(tx.roots.all(), sealed)
            if self._own_key not in root.coordinator_keys:
                raise Refused(
                    f"trust root {root.version} does not name the key that this coordinator signs with: nodes would "
                    "not believe it any more"
                )
            if self._authority and root.authorities and not _names(root, self._authority):
                raise Refused(
                    f"trust root {root.version} does not name the authority of this coordinator's certificate: nodes "
                    "would not talk to it any more"
                )
            tx.roots.add(root.version, sealed)
        self._on_changed()
        return self.trust()

    def _next(self, roots: tuple[bytes, ...], sealed: bytes) -> TrustRoot:
        try:
            payload = unverified(sealed, TRUST_ROOT)
        except ContractError as error:
            raise BadInput(str(error)) from None
        try:
            held = newest(roots)
            if held is not None:
                return follow(held, sealed)
            if self._first is None:
                raise Conflict(
                    "this coordinator has no first trust root: run edge-coordinator init on its folder again"
                )
            if payload != unverified(self._first, TRUST_ROOT):
                raise Refused(
                    "the first trust root must be the one that edge-coordinator init made: edgectl trust sign"
                )
            return open_root(sealed)
        except ContractError as error:
            raise Refused(str(error)) from None


def _names(root: TrustRoot, authority: str) -> bool:
    return authority in (pem.strip() for pem in root.authorities)


def _is_signed(sealed: bytes) -> bool:
    try:
        open_root(sealed)
    except ContractError:
        return False
    return True
