"""EnrollmentService: how devices become nodes and stay nodes. Served with server TLS only."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime

from coordinator.api.convert import facts_from_wire
from coordinator.api.errors import Context
from coordinator.errors import BadInput
from coordinator.fleet.challenge import RANDOM_BYTES, new_challenge
from coordinator.fleet.enrollment import Application, Identity, Renewal
from coordinator.fleet.enrollment import EnrollmentService as Enrollments
from protos.fleet.v1 import enrollment_pb2 as pb
from protos.fleet.v1.enrollment_pb2_grpc import EnrollmentServiceServicer
from protos.time_statement import NONCE_BYTES, time_statement

MAX_MESSAGE = 256 * 1024


@dataclass(frozen=True)
class EnrollmentFacts:
    """What every new node is told. `coordinator` and `broker_url` may leave the host open."""

    authorities: tuple[bytes, ...]
    coordinator: str
    broker_url: str
    topic_prefix: str
    trusted_keys: tuple[bytes, ...]


class EnrollmentService(EnrollmentServiceServicer):
    """Converts, asks the fleet, converts.

    Args:
        enrollments: decides.
        facts: what every node is told.
        secret: of the challenges.
        sign_time: seals a time statement.
        trust_roots: the envelopes of all trust roots, the oldest first.
        now: the clock.
    """

    def __init__(
        self,
        enrollments: Enrollments,
        facts: EnrollmentFacts,
        secret: bytes,
        sign_time: Callable[[bytes], bytes],
        trust_roots: Callable[[], tuple[bytes, ...]],
        now: Callable[[], datetime],
        settled: Callable[[], Awaitable[None]],
    ) -> None:
        self._enrollments = enrollments
        self._facts = facts
        self._secret = secret
        self._sign_time = sign_time
        self._trust_roots = trust_roots
        self._now = now
        self._settled = settled

    async def GetAuthority(self, request: pb.GetAuthorityRequest, context: Context) -> pb.Authority:
        """The authority that signed this server's certificate, and how publishers say that it is the one."""
        roots = await asyncio.to_thread(self._trust_roots)
        return pb.Authority(certificate=self._facts.authorities[0], trust_roots=roots)

    async def Enroll(self, request: pb.EnrollRequest, context: Context) -> pb.Enrollment:
        """Use up a token."""
        facts = facts_from_wire(request.facts_json)
        application = Application(request.secret, request.csr, request.name, dict(request.labels), facts)
        identity = await asyncio.to_thread(self._enrollments.enroll, application)
        await self._settled()  # it connects to the broker at once
        return await self._answer(identity)

    async def GetChallenge(self, request: pb.GetChallengeRequest, context: Context) -> pb.Challenge:
        """A challenge, and the time."""
        if len(request.nonce) != NONCE_BYTES:
            raise BadInput(f"a nonce has {NONCE_BYTES} bytes, not {len(request.nonce)}")
        now = self._now()
        return pb.Challenge(
            challenge=new_challenge(self._secret, now, os.urandom(RANDOM_BYTES)),
            time=self._sign_time(time_statement(now, request.nonce)),
        )

    async def RenewCertificate(self, request: pb.RenewCertificateRequest, context: Context) -> pb.Enrollment:
        """A new certificate for a node that proves its key."""
        renewal = Renewal(request.certificate, request.csr, request.challenge, request.signature)
        identity = await asyncio.to_thread(self._enrollments.renew, renewal)
        if identity.comes_back:
            await self._settled()
        return await self._answer(identity)

    async def _answer(self, identity: Identity) -> pb.Enrollment:
        return pb.Enrollment(
            node_id=identity.id,
            certificate=identity.certificate,
            authorities=self._facts.authorities,
            coordinator=self._facts.coordinator,
            broker_url=self._facts.broker_url,
            topic_prefix=self._facts.topic_prefix,
            trusted_keys=self._facts.trusted_keys,
            name=identity.node.name if identity.node else "",
            site=identity.node.site if identity.node else "",
            replaces=identity.replaces or "",
            trust_roots=await asyncio.to_thread(self._trust_roots),
        )
