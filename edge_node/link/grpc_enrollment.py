"""In the child process: the questions of `enrollment.py`, asked over gRPC.

A token pins the authority by its fingerprint: it is asked for without trust, compared, and only then, on a second
connection that trusts nobody else, the secret is told.
"""

import hashlib
import ssl
from pathlib import Path
from typing import cast

import grpc
from cryptography import x509

from edge_node.link.address import at_host_of
from edge_node.link.channel import CallFailed, channel_to
from edge_node.link.child import Failed
from edge_node.link.coordinator import checked_keys
from edge_node.link.enrollment import (
    AskRoots,
    AskTime,
    Certified,
    Enroll,
    Enrolled,
    Renew,
    Renewed,
    Roots,
    TimeStatement,
)
from edge_node.link.key import proof, read_key, request_for
from edge_node.link.tls import server_context, unverified_context
from protos.broker_url import parse_broker_url
from protos.errors import ContractError
from protos.fleet.v1.enrollment_pb2 import (
    Challenge,
    Enrollment,
    EnrollRequest,
    GetAuthorityRequest,
    GetChallengeRequest,
    RenewCertificateRequest,
)
from protos.fleet.v1.enrollment_pb2_grpc import EnrollmentServiceStub
from protos.identity import NodeId, checked_name, is_id
from protos.topics import checked_prefix


def enroll(request: Enroll) -> Enrolled:
    """Pin the authority that the token names, then use the token up."""
    authority = pinned_authority(request)
    key_file = Path(request.key_file)
    message = EnrollRequest(
        secret=request.secret,
        csr=request_for(read_key(key_file)),
        name=request.name,
        labels=request.labels,
        facts_json=request.facts_json,
    )
    try:
        with channel_to(request.address, server_context(authority)) as channel:
            reply = _service(channel).Enroll(message, timeout=request.deadline_s)
    except CallFailed as error:
        if error.failed.kind == "unreachable":  # it was reached a moment ago, and may have heard the token
            raise CallFailed(Failed("unanswered", error.failed.line)) from None
        raise
    return enrolled_from_wire(reply, request.address)


def pinned_authority(request: Enroll) -> str:
    """The certificate (PEM) of the authority that the token pins, as the address gave it.

    Raises:
        CallFailed: the address has another authority.
    """
    with channel_to(request.address, unverified_context()) as channel:
        reply = _service(channel).GetAuthority(GetAuthorityRequest(), timeout=request.deadline_s)
    try:
        pem = str(reply.certificate, "ascii")
        fingerprint = hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).digest()
    except ValueError:
        raise ContractError("its authority is not a certificate in PEM") from None
    if fingerprint != request.ca:
        raise CallFailed(Failed("stranger", f"{request.address} is not the coordinator that the token is for"))
    return pem


def ask_roots(request: AskRoots) -> Roots:
    """Get the trust roots of whoever answers."""
    with channel_to(request.address, unverified_context()) as channel:
        reply = _service(channel).GetAuthority(GetAuthorityRequest(), timeout=request.deadline_s)
    return Roots(tuple(reply.trust_roots))


def ask_time(request: AskTime) -> TimeStatement:
    """Get a time statement."""
    with channel_to(request.address, server_context(_text(request.authorities))) as channel:
        return TimeStatement(_challenge(channel, request.nonce, request.deadline_s).time)


def renew(request: Renew) -> Renewed:
    """Sign the challenge and get a certificate for the same key."""
    key = read_key(Path(request.key_file))
    csr = request_for(key)
    with channel_to(request.address, server_context(_text(request.authorities))) as channel:
        challenge = _challenge(channel, request.nonce, request.deadline_s)
        message = RenewCertificateRequest(
            certificate=_text(request.certificate_file).encode(),
            csr=csr,
            challenge=challenge.challenge,
            signature=proof(key, challenge.challenge, csr),
        )
        reply = _service(channel).RenewCertificate(message, timeout=request.deadline_s)
    return Renewed(certified_from_wire(reply), challenge.time)


def enrolled_from_wire(reply: Enrollment, address: str) -> Enrolled:
    """The reply in our types; `address` is what was dialled.

    Raises:
        ContractError: a value is not what the contract says.
    """
    if not is_id(reply.node_id):
        raise ContractError(f"node id {reply.node_id!r} is not 32 hexadecimal digits")
    return Enrolled(
        node_id=NodeId(reply.node_id),
        name=checked_name(reply.name, "node name"),
        site=checked_name(reply.site, "site"),
        certified=certified_from_wire(reply),
        coordinator=at_host_of(address, reply.coordinator),
        enrollment=address,
        broker_url=parse_broker_url(at_host_of(address, reply.broker_url)).safe_url,
        topic_prefix=checked_prefix(reply.topic_prefix),
        trusted_keys=checked_keys(reply.trusted_keys),
        trust_roots=tuple(reply.trust_roots),
        replaces=reply.replaces,
    )


def certified_from_wire(reply: Enrollment) -> Certified:
    """The certificate of a reply.

    Raises:
        ContractError: it is none, or no authority came with it.
    """
    try:
        certificate = x509.load_pem_x509_certificate(reply.certificate)
        for authority in reply.authorities:
            x509.load_pem_x509_certificate(authority)
    except ValueError:
        raise ContractError("a certificate is not one in PEM") from None
    if not reply.authorities:
        raise ContractError("no authority came with the certificate")
    return Certified(
        certificate=reply.certificate,
        authorities=tuple(reply.authorities),
        not_before=certificate.not_valid_before_utc.timestamp(),
        not_after=certificate.not_valid_after_utc.timestamp(),
    )


def _challenge(channel: grpc.Channel, nonce: bytes, deadline_s: float) -> Challenge:
    return cast("Challenge", _service(channel).GetChallenge(GetChallengeRequest(nonce=nonce), timeout=deadline_s))


def _service(channel: grpc.Channel) -> EnrollmentServiceStub:
    return EnrollmentServiceStub(channel)  # type: ignore[no-untyped-call]


def _text(file: str) -> str:
    return Path(file).read_text(encoding="ascii")
