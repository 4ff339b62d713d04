"""Makes `[serving]` ready for its process: what is asked of clients is checked, and files that are missing are made.

No certificate is read here that was given, and nobody listens yet.
"""

import logging
from pathlib import Path

from edge_node.config import LocalServing
from edge_node.errors import Refused
from edge_node.serving.firewall.exposure import WAYS, check_exposure, guarded_ways, settings_of
from edge_node.serving.firewall.key_file import read_keys
from edge_node.serving.settings import ServingSettings, Tls

log = logging.getLogger(__name__)


def opened(serving: LocalServing, lanes: str, folder: Path) -> ServingSettings:
    """What the serving process is told.

    Args:
        serving: the configuration.
        lanes: see `ServingSettings`.
        folder: of the node's state, where a certificate of its own is kept.

    Raises:
        WrongUsage, Refused, BadInput: what is missing, wrong or unsafe, in a line.
    """
    check_exposure(serving)
    if guarded_ways(serving):
        _check_keys(serving)
    return settings_of(serving, lanes, own_tls(serving, folder))


def own_tls(serving: LocalServing, folder: Path) -> Tls | None:
    """The node's own certificate where it is wanted; made and told about the first time."""
    if not (serving.self_signed and guarded_ways(serving)):
        return None
    from edge_node.repository.own_certificate import fingerprint, own_certificate

    tls = own_certificate(folder, [getattr(serving, way) for way in WAYS], serving.client_ca)
    log.info("serving with the certificate %s, SHA-256 %s", tls.certificate, fingerprint(Path(tls.certificate)))
    return tls


def _check_keys(serving: LocalServing) -> None:
    if serving.key_file is None:
        return
    if not read_keys(Path(serving.key_file)) and serving.client_ca is None:
        how = f"edge-node key create --name app --key-file {serving.key_file}"
        raise Refused(f"{serving.key_file} has no key, so nobody could ask: {how}")
