"""The adopted desired document, and the versions to fall back on, as they lie on the disk. What may be adopted is
decided in `edge_node.store.trust`.
"""

import logging
from collections.abc import Mapping
from pathlib import Path

import msgspec

from edge_node.errors import Refused
from edge_node.store.files import read_if_there, write_durably
from edge_node.store.trust import Adopted, opened
from protos.desired import DesiredDeployment
from protos.identity import NodeId

log = logging.getLogger(__name__)


class DesiredFile:
    """`desired.json`: the envelope, so that every start checks its signature again."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def load(self, trusted: frozenset[bytes], node: NodeId) -> Adopted | None:
        """The document of the last run; None where there is none, it is damaged, or this was another node then."""
        sealed = read_if_there(self._path)
        if sealed is None:
            return None
        try:
            adopted = opened(sealed, trusted)
        except Refused as error:
            log.warning("%s is damaged (%s): waiting for the coordinator to send it again", self._path, error)
            return None
        return adopted if adopted.desired.node == node else None

    def save(self, adopted: Adopted) -> None:
        """Keep a document."""
        write_durably(self._path, adopted.sealed)


class LastGoodFile:
    """`last_good.json`: by deployment, the version that has passed its probation."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def load(self) -> dict[str, DesiredDeployment]:
        """What the last run kept; nothing where it is damaged."""
        content = read_if_there(self._path)
        if content is None:
            return {}
        try:
            return msgspec.json.decode(content, type=dict[str, DesiredDeployment])
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            log.warning("%s is damaged (%s): going on without versions to fall back on", self._path, error)
            return {}

    def save(self, versions: Mapping[str, DesiredDeployment]) -> None:
        """Keep the versions."""
        write_durably(self._path, msgspec.json.encode(versions))
