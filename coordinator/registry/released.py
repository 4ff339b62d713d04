"""Whether a version is released: signed by enough of the publishers that the trust root names. Pure.

Nodes decide the same for themselves (`edge_node.store.release`); here it is said to a person before a deployment.
"""

from dataclasses import dataclass
from datetime import datetime

from coordinator.errors import BadInput, Refused
from coordinator.registry.records import Version
from protos.digest import short
from protos.envelope import DOWNGRADE, RELEASE, signers, unverified
from protos.errors import ContractError
from protos.release import MAX_ENVELOPE, Downgrade, Release, open_downgrade, open_release, unverified_release
from protos.trust import TrustRoot


@dataclass(frozen=True)
class Standing:
    """A version's signed release, None before anybody has signed; the publishers in force that have; why it cannot be
    deployed, empty where it can.
    """

    release: bytes | None
    signed_by: tuple[str, ...]
    unreleased: str


def standing(version: Version, release: bytes | None, root: TrustRoot | None, now: datetime) -> Standing:
    """How a version stands."""
    signed_by = () if release is None or root is None else names_of_signers(release, RELEASE, root)
    return Standing(release, signed_by, _unreleased(f"{version.model}@{version.version}", release, root, now))


def _unreleased(what: str, release: bytes | None, root: TrustRoot | None, now: datetime) -> str:
    sign = f"sign it with edgectl model sign {what} --key FILE"
    if root is None:
        return f"{what} cannot be deployed, there is no trust root yet: edgectl trust show says what is missing"
    if root.has_expired(now):
        return f"{what} cannot be deployed, trust root {root.version} has expired: edgectl trust update makes the next"
    if release is None:
        return f"{what} is not released: {sign}"
    try:
        opened = open_release(release, root)
    except ContractError as error:
        return f"{what} is not released: {error}: {sign}"
    expired = opened.expires is not None and now >= opened.expires
    return f"the release of {what} has expired: {sign}" if expired else ""


def names_of_signers(sealed: bytes, payload_type: str, root: TrustRoot) -> tuple[str, ...]:
    """The publishers in force that signed an envelope, in the root's order.

    Raises:
        ContractError: not such an envelope.
    """
    found = signers(sealed, payload_type, root.publisher_keys)
    return tuple(publisher.name for publisher in root.publishers if publisher.key in found)


def checked_release(version: Version, sealed: bytes, root: TrustRoot) -> None:
    """Nothing, where the envelope is worth keeping as this version's release: its own, and signed by a publisher.

    Raises:
        BadInput: another version, another bundle, or no release.
        Refused: no publisher in force has signed it.
    """
    release = _release_in(sealed)
    if (release.model, release.version) != (version.model, version.version):
        raise BadInput(f"a release of {release.model}@{release.version}, not of {version.model}@{version.version}")
    if release.digest != version.digest:
        raise BadInput(
            f"the release says that {version.model}@{version.version} is bundle {short(release.digest)}, here it is "
            f"{short(version.digest)}: sign again"
        )
    if not names_of_signers(sealed, RELEASE, root):
        raise Refused(
            f"{version.model}@{version.version}: no publisher of trust root {root.version} has signed this: "
            "edgectl trust show names them"
        )


def checked_permit(sealed: bytes, root: TrustRoot) -> Downgrade:
    """The permit in an envelope.

    Raises:
        BadInput: it is none.
        Refused: too few publishers have signed it.
    """
    _check_size(sealed)
    try:
        unverified(sealed, DOWNGRADE)
    except ContractError as error:
        raise BadInput(str(error)) from None
    try:
        return open_downgrade(sealed, root)
    except ContractError as error:
        raise Refused(f"the permit is not valid under trust root {root.version}: {error}") from None


def merged(held: bytes | None, told: bytes, root: TrustRoot) -> bytes:
    """The release to keep: the one with more publishers' signatures, the newer one where they are equal.

    A signer adds to the envelope that is held (`edgectl model sign`); so nobody's signature is lost by that.
    """
    if held is None:
        return told
    ours = set(names_of_signers(held, RELEASE, root))
    theirs = set(names_of_signers(told, RELEASE, root))
    return told if len(theirs) >= min(len(ours), root.threshold) else held


def _release_in(sealed: bytes) -> Release:
    _check_size(sealed)
    try:
        return unverified_release(sealed)
    except ContractError as error:
        raise BadInput(str(error)) from None


def _check_size(sealed: bytes) -> None:
    if len(sealed) > MAX_ENVELOPE:
        raise BadInput(f"a signed statement of {len(sealed)} bytes; at most {MAX_ENVELOPE} are taken")
