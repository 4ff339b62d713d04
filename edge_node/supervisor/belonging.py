"""Whose node this is: the identity in force, and the contact with the coordinator under it.

An identity comes from the disk at the start, from an enrollment while the agent runs, and is told anew at every
registration. Whatever it changes is changed here: where models come from, what is followed, whom the node talks to.
"""

import logging
from collections.abc import Callable
from pathlib import Path

from edge_node.config import NodeConfig
from edge_node.errors import Refused
from edge_node.link.coordinator import Dial
from edge_node.membership.clock import Clock
from edge_node.membership.identity import IDENTITY, Identity, IdentityFile, credentials_in, has_moved
from edge_node.membership.registration import CoordinatorFetcher, Registration
from edge_node.membership.upkeep import Upkeep
from edge_node.supervisor.contact import Contact
from edge_node.supervisor.device import Device
from edge_node.supervisor.following import Following
from edge_node.supervisor.status import LinkReport
from protos.trust import TrustRoot, newest_number

log = logging.getLogger(__name__)


class Belonging:
    """`identity` and `contact` are None until this device is a node.

    Args:
        config: the configuration.
        clock: what time it is.
        device: which fetches its models from the coordinator.
        following: the desired state.
        new_contact: makes a contact under an identity, not yet started.
        wake: called when something has changed that the plan goes by.
    """

    def __init__(
        self,
        config: NodeConfig,
        clock: Clock,
        device: Device,
        following: Following,
        new_contact: Callable[[Identity], Contact],
        wake: Callable[[], None],
    ) -> None:
        self.identity: Identity | None = None
        self.contact: Contact | None = None
        self.registration = Registration(
            config, lambda: self.identity, lambda: self.connected, self._on_registered, self.dial
        )
        self.upkeep = Upkeep(config, clock, lambda: self.identity, self._on_identity, self._on_certificate)
        self._folder = Path(config.state_dir)
        self._token_file = config.token_file
        self._file = IdentityFile(self._folder / IDENTITY)
        self._clock = clock
        self._device = device
        self._following = following
        self._new_contact = new_contact
        self._wake = wake

    @property
    def connected(self) -> bool:
        """Whether the connection to the coordinator's broker stands."""
        return self.contact is not None and self.contact.uplink.connected

    async def begin(self) -> None:
        """Be the node that the state folder says.

        Raises:
            Refused: it says none, and there is no token to become one with.
        """
        self.upkeep.load()
        identity = self._file.load()
        if identity is not None:
            await self._be(identity)
        elif self._token_file is None:
            raise Refused("this device has no identity: edge-node enroll TOKEN makes it a node")

    async def end(self) -> None:
        """Say goodbye."""
        if self.contact is not None:
            await self.contact.stop()
        self.upkeep.close()

    def dial(self, address: str) -> Dial:
        """How an address of the coordinator is dialled."""
        return Dial(address, credentials_in(self._folder), self._clock.known())

    def topic(self, pipeline: str) -> str | None:
        """The live topic of a pipeline, None while there is no contact."""
        return None if self.contact is None else self.contact.topic(pipeline)

    def trust_roots(self) -> tuple[TrustRoot, ...]:
        """The roots that this node has held."""
        return () if self.identity is None else self.identity.trust_roots()

    @property
    def trust_root(self) -> int:
        """The number of the root in force; 0 where there is none."""
        return 0 if self.identity is None else newest_number(self.identity.roots)

    def link_report(self) -> LinkReport:
        """How the connections stand."""
        registration = self.registration.state
        return LinkReport(coordinator=registration) if self.contact is None else self.contact.link_report(registration)

    async def _be(self, identity: Identity) -> None:
        """Act under an identity from now on."""
        self.identity = identity
        self._file.save_authorities(identity)
        self.upkeep.load()
        self._following.load(identity)
        self._device.fetcher = CoordinatorFetcher(identity.coordinator, self.dial)
        await self._make_contact(identity)

    async def _make_contact(self, identity: Identity) -> None:
        """Begin to talk under an identity, ending an older conversation."""
        contact = self._new_contact(identity)
        old, self.contact = self.contact, contact
        if old is not None:
            await old.stop()
        if self._following.desired is not None:
            contact.call(self._following.desired.site, self._following.desired.name)
        await contact.start()

    async def _on_identity(self) -> None:
        """An identity was put into the folder while this agent ran."""
        identity = self._file.load()
        if identity is not None:
            await self._be(identity)
            self.registration.again()
            self._wake()

    async def _on_certificate(self) -> None:
        """A connection that stands goes on; one that was refused is tried at once with the new certificate."""
        if self.identity is not None and not self.connected:
            await self._make_contact(self.identity)
            self.registration.again()

    async def _on_registered(self, identity: Identity) -> None:
        """Keep what the coordinator said; talk to the broker that it names."""
        self._device.fetcher = CoordinatorFetcher(identity.coordinator, self.dial)
        before, self.identity = self.identity, identity
        if identity != before:
            self._file.save(identity)
        if self.contact is None or before is None or has_moved(before, identity):
            await self._make_contact(identity)
        if before is not None and before.roots != identity.roots:
            self._trust_anew(identity)
        self._wake()

    def _trust_anew(self, identity: Identity) -> None:
        """Another root is in force: what was refused under the one before may be believed now."""
        log.info("trust root %d is in force", newest_number(identity.roots))
        self._file.save_authorities(identity)
        self.upkeep.load()
        self._device.forgive_fetches()
        if self.contact is not None:
            self.contact.hello()
