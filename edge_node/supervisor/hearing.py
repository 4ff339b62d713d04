"""What the node hears from its coordinator, and what comes of it: desired state, acknowledgements, commands.

Each is believed where a key of the coordinator signed it; a broker in between can only keep it back.
"""

import logging
from collections.abc import Callable
from datetime import datetime

from edge_node.errors import Refused
from edge_node.membership.clock import Clock, seconds_of
from edge_node.membership.identity import Identity
from edge_node.outbox.acked import acknowledgement
from edge_node.outbox.queue import Outbox
from edge_node.store.trust import Stale, pipeline_names
from edge_node.supervisor.belonging import Belonging
from edge_node.supervisor.commands import Commands
from edge_node.supervisor.contact import Contact
from edge_node.supervisor.following import Following
from protos.errors import ContractError
from protos.trust import newest_number

log = logging.getLogger(__name__)


class Hearing:
    """Hears for one node.

    Args:
        belonging: whose keys count; without identity and contact nothing is heard.
        following: takes desired state.
        outbox: whose results are acknowledged.
        clock: signed times raise it.
        commands: carries out commands.
        now: the time by which documents expire.
        on_heard: called when desired state came, taken or not; False where it was not.
    """

    def __init__(
        self,
        belonging: Belonging,
        following: Following,
        outbox: Outbox,
        clock: Clock,
        commands: Commands,
        now: Callable[[], datetime],
        on_heard: Callable[[bool], None],
    ) -> None:
        self._belonging = belonging
        self._following = following
        self._outbox = outbox
        self._clock = clock
        self._commands = commands
        self._now = now
        self._on_heard = on_heard

    def desired(self, sealed: bytes) -> None:
        """Follow a desired document, where it may be followed."""
        identity, contact = self._belonging.identity, self._belonging.contact
        if identity is None or contact is None:
            return
        before = pipeline_names(self._following.adopted)
        try:
            is_new = self._following.hear(sealed, identity, self._now())
        except Stale:
            contact.hello()  # the coordinator sends what is held again, or under a new epoch
            return
        except Refused:
            self._on_heard(False)
            self._belonging.registration.look_again()  # it may have another key by now, and a root that says so
            return
        if is_new:
            self._go_by_names(before, contact)
        self._look_for_root(identity)
        self._on_heard(True)

    def acked(self, sealed: bytes) -> None:
        """Results were committed: the outbox may forget them."""
        identity, contact = self._belonging.identity, self._belonging.contact
        if identity is None or contact is None:
            return
        try:
            acked = acknowledgement(sealed, identity.trusted)
        except ContractError as error:
            log.warning("an acknowledgement was not believed: %s", error)
            return
        self._clock.reached(seconds_of(acked.at))
        if acked.stream == self._outbox.stream:
            contact.forwarder.acked(acked.through)

    def command(self, sealed: bytes, nonce: str) -> None:
        """Carry out a command that came on the topic of a nonce, and answer."""
        identity, contact = self._belonging.identity, self._belonging.contact
        if identity is None or contact is None:
            return
        try:
            contact.reply(self._commands.answer(sealed, nonce, identity.node, identity.trusted))
        except (Refused, OSError) as error:
            log.warning("a command was not carried out: %s", error)

    def _go_by_names(self, before: frozenset[str], contact: Contact) -> None:
        """Forget what was retained of pipelines that are gone; go by today's names."""
        for pipeline in before - pipeline_names(self._following.adopted):
            contact.live.clear(pipeline)
        if self._following.desired is not None:
            contact.call(self._following.desired.site, self._following.desired.name)

    def _look_for_root(self, identity: Identity) -> None:
        """The document was signed under a newer trust root than this node has: ask for it."""
        desired = self._following.desired
        if desired is not None and desired.trust_root > newest_number(identity.roots):
            self._belonging.registration.look_again()
