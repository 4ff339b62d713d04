"""Puts together what identity is made of: the authority, the coordinator's certificate, the deny-list, the services.

identities = Identities(config, folder, store, utc_now)
await asyncio.to_thread(identities.prepare)
identities.own.key, identities.own.chain           # for the coordinator's servers and its login at its broker
identities.revocations.is_revoked("admin:alice")
"""

import asyncio
import contextlib
import logging
import os
from collections.abc import Awaitable, Callable, Collection
from datetime import datetime, timedelta

from coordinator.api.access_service import AccessService
from coordinator.api.enrollment_service import EnrollmentFacts, EnrollmentService
from coordinator.authority.certificates import described, read_certificate
from coordinator.authority.files import OwnCertificate, handed_out, read_authority
from coordinator.authority.own import own_names
from coordinator.config import CoordinatorConfig
from coordinator.errors import NearfieldError
from coordinator.fleet.admitted import everybody
from coordinator.fleet.challenge import challenge_secret
from coordinator.fleet.credentials import CredentialService
from coordinator.fleet.enrollment import EnrollmentService as Enrollments
from coordinator.fleet.join_tokens import JoinTokens
from coordinator.fleet.revocations import Revocations
from coordinator.fleet.store import Store
from coordinator.folder import Folder, read_signing_key
from coordinator.link.access import AccessTable, Place, access_table
from coordinator.link.addresses import advertised, hosts_in_certificate, machine_addresses, machine_name
from protos.envelope import TIME, seal
from protos.identity import NodeId
from protos.topics import Topics

CERTIFICATE_CHECK_S = 600.0

log = logging.getLogger(__name__)


class Identities:
    """See the module.

    Args:
        config: the configuration.
        folder: the coordinator's, with its keys.
        store: where tokens, certificates and the deny-list are kept.
        now: the clock.

    Raises:
        BadInput: the folder has no authority.
        Refused: others may read its key.
    """

    def __init__(self, config: CoordinatorConfig, folder: Folder, store: Store, now: Callable[[], datetime]) -> None:
        self._config = config
        self._folder = folder
        self._store = store
        self._now = now
        self._addresses = machine_addresses()
        self.authority = read_authority(folder)
        hosts = hosts_in_certificate((*config.names, *_hosts(config.advertise)), config.host, self._addresses)
        self.own = OwnCertificate(folder, self.authority, own_names(hosts, machine_name(), ()), now)
        self.on_access_changed: Callable[[], None] = lambda: None
        """called on the event loop when others are refused, or somebody new has an identity"""
        self.access_settled: Callable[[], Awaitable[None]] = _at_once
        """returns when the broker knows of somebody new"""
        self.revocations = Revocations(store, self._access_changed)
        self.enrollment_port = config.enroll_port
        """where devices enroll; with port 0 set after the server's start"""
        self.tokens = JoinTokens(store, self.authority.fingerprint, self._advertised, now, os.urandom)
        self.credentials = CredentialService(
            store, self.authority, self.tokens, Topics(config.topic_prefix), now, self.revocations.add
        )

    def prepare(self) -> None:
        """Read or issue the coordinator's certificate, read the deny-list, list the first administrator."""
        self.own.refresh()
        self.revocations.load()
        with contextlib.suppress(OSError):  # it may lie elsewhere by now
            self.credentials.remember(described(read_certificate(self._folder.admin.read_bytes())))

    def shown(self) -> tuple[bytes, bytes, bytes]:
        """Key, chain and trusted authorities, as the servers show them now."""
        return self.own.key, self.own.chain, self.own.authorities

    def access(self) -> AccessTable:
        """Who may use the broker, as it is now."""
        known = everybody(self._store, self._now())
        places = {node.id: Place(node.site, node.name) for node in known.nodes.values()}
        return access_table(places, known.common_names, known.revoked)

    def access_service(self) -> AccessService:
        """The API's service for tokens and credentials."""
        return AccessService(
            self.tokens, self.credentials, lambda: handed_out(self._folder, self.authority), self._settled
        )

    def enrollment_service(
        self,
        topics: Topics,
        coordinator: str,
        broker_url: str,
        trusted_keys: tuple[bytes, ...],
        trust_roots: Callable[[], tuple[bytes, ...]],
        on_changed: Callable[[Collection[NodeId]], None],
    ) -> EnrollmentService:
        """The service of the enrollment server; what it tells nodes is known once all else listens."""
        key = read_signing_key(self._folder)
        secret = challenge_secret(key.private_bytes_raw())
        lifetime = timedelta(hours=self._config.node_certificate_hours)
        grace = timedelta(days=self._config.renewal_grace_days)
        enrollments = Enrollments(
            self._store, self.authority, topics, lifetime, grace, secret, self._now, os.urandom, on_changed
        )
        facts = EnrollmentFacts(self.authority.authorities, coordinator, broker_url, topics.prefix, trusted_keys)
        return EnrollmentService(
            enrollments, facts, secret, lambda payload: seal(TIME, payload, key), trust_roots, self._now, self._settled
        )

    async def keep_certificate(self, on_renewed: Callable[[], None]) -> None:
        """Replace the coordinator's certificate when it is time, until cancelled."""
        while True:
            await asyncio.sleep(CERTIFICATE_CHECK_S)
            try:
                if await asyncio.to_thread(self.own.refresh):
                    log.info("the coordinator has a new certificate")
                    on_renewed()
            except (NearfieldError, OSError) as error:
                log.warning("the coordinator's certificate cannot be renewed: %s", error)

    def _access_changed(self) -> None:
        self.on_access_changed()

    async def _settled(self) -> None:
        await self.access_settled()

    def _advertised(self) -> tuple[str, ...]:
        return advertised(self._config.advertise, self._config.host, self.enrollment_port, self._addresses)


def _hosts(addresses: tuple[str, ...]) -> tuple[str, ...]:
    """Host names of the addresses that join tokens name."""
    return tuple(address.rpartition(":")[0] or address for address in addresses)


async def _at_once() -> None:
    """Nobody has to be told."""
