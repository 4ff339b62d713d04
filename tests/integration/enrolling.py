"""An enrollment service that answers as a test wants, over real TLS, with an authority of the tests."""

import asyncio
import hashlib
import ssl
from collections.abc import AsyncIterator
from concurrent import futures
from contextlib import asynccontextmanager
from typing import Any

import grpc

from protos.fleet.v1 import enrollment_pb2, enrollment_pb2_grpc
from protos.join_token import JoinToken
from tests.authorities import Authority

NODE = "0123456789abcdef" * 2
SECRET = bytes(range(16))


class Enrolling(enrollment_pb2_grpc.EnrollmentServiceServicer):
    """Remembers what it was told."""

    def __init__(self, authority: Authority) -> None:
        self.authority = authority
        self.shown = authority.ca.read_bytes()
        self.asked: list[Any] = []
        self.refusal: tuple[grpc.StatusCode, str] | None = None
        self.changes: dict[str, Any] = {}

    def GetAuthority(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802 (gRPC's name)
        return enrollment_pb2.Authority(certificate=self.shown)

    def Enroll(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        self.asked.append(request)
        return self._identity(context, request.csr)

    def GetChallenge(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        return enrollment_pb2.Challenge(challenge=b"challenge", time=b"time of " + request.nonce)

    def RenewCertificate(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        self.asked.append(request)
        return self._identity(context, request.csr)

    def _identity(self, context: grpc.ServicerContext, csr: bytes) -> Any:
        if self.refusal is not None:
            context.abort(*self.refusal)
        values: dict[str, Any] = {
            "node_id": NODE,
            "certificate": self.authority.sign(csr, NODE),
            "authorities": [self.authority.ca.read_bytes()],
            "coordinator": "0.0.0.0:7070",
            "broker_url": "mqtts://0.0.0.0:8883",
            "topic_prefix": "edge/v1",
            "trusted_keys": [bytes(32)],
            "name": "cam-3",
            "site": "store-12",
        }
        return enrollment_pb2.Enrollment(**{**values, **self.changes})


@asynccontextmanager
async def enrollment(service: Enrolling, presented: Authority | None = None) -> AsyncIterator[JoinToken]:
    """The service on a free port, with a server certificate of `presented`; a token for it."""
    files = (presented or service.authority).issue("coordinator", server=True)
    credentials = grpc.ssl_server_credentials([(files.key.read_bytes(), files.certificate.read_bytes())])
    server = grpc.server(futures.ThreadPoolExecutor(2))
    enrollment_pb2_grpc.add_EnrollmentServiceServicer_to_server(service, server)  # type: ignore[no-untyped-call]
    port = server.add_secure_port("127.0.0.1:0", credentials)
    server.start()
    try:
        yield JoinToken(SECRET, fingerprint(service.authority), (f"127.0.0.1:{port}",))
    finally:
        await asyncio.to_thread(server.stop(0).wait)


def fingerprint(authority: Authority) -> bytes:
    """As a token holds it."""
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(authority.ca.read_text())).digest()
