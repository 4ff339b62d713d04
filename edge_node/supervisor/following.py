"""The desired state that this node follows: what it held when it stopped, then whatever may be adopted.

Which document may be is decided in `edge_node.store.trust`; that it is kept is `desired.py`.
"""

import logging
from datetime import datetime

from edge_node.errors import Refused
from edge_node.membership.clock import Clock, seconds_of
from edge_node.membership.identity import Identity
from edge_node.store.trust import Adopted, Stale, adopt
from edge_node.supervisor.contexts import pipeline_settings
from edge_node.supervisor.desired import DesiredFile
from protos.deployment import Egress, Pipeline
from protos.desired import Desired

log = logging.getLogger(__name__)


class Following:
    """`adopted` is the document in force, None before the first; `refusal` says why the last one was not taken."""

    def __init__(self, file: DesiredFile, clock: Clock) -> None:
        self.adopted: Adopted | None = None
        self.refusal = ""
        self._file = file
        self._clock = clock
        self._stale = ""

    @property
    def desired(self) -> Desired | None:
        """The desired state."""
        return None if self.adopted is None else self.adopted.desired

    def load(self, identity: Identity) -> None:
        """Go by what is on the disk for this identity; what another node was told to run is forgotten."""
        self.adopted = self._file.load(identity.once_trusted, identity.node)
        if self.adopted is not None:
            self._clock.reached(seconds_of(self.adopted.desired.issued_at))

    def settings(self, pipeline: str) -> Pipeline | None:
        """What is wanted of a pipeline."""
        return pipeline_settings(self.desired, pipeline)

    def egress(self, pipeline: str) -> Egress:
        """What a pipeline may send."""
        settings = self.settings(pipeline)
        return Egress() if settings is None else settings.egress

    def hear(self, sealed: bytes, identity: Identity, now: datetime) -> bool:
        """Take a document in an envelope; whether it is another one than before.

        Raises:
            Stale: it is older; what is held stays.
            Refused: it may not be adopted; `refusal` says why.
        """
        try:
            adopted = adopt(sealed, identity.node, identity.trusted, self.adopted, now)
        except Stale as error:
            if str(error) != self._stale:
                log.info("%s", error)
            self._stale = str(error)
            raise
        except Refused as error:
            log.warning("%s", error)
            self.refusal = str(error)
            raise
        self.refusal = ""
        if adopted is self.adopted:
            return False
        self._follow(adopted)
        return True

    def _follow(self, adopted: Adopted) -> None:
        log.info("desired state %d.%d adopted", adopted.desired.epoch, adopted.desired.revision)
        try:
            self._file.save(adopted)
        except OSError as error:
            log.warning("the desired state is followed but cannot be kept (%s): free space on the disk", error)
        self.adopted = adopted
        self._clock.reached(seconds_of(adopted.desired.issued_at))
