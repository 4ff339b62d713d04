"""AccessService: join tokens, credentials, and taking either away."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

from coordinator.api.caller import caller_name
from coordinator.api.errors import Context
from coordinator.authority.certificates import Certificate
from coordinator.fleet.credentials import CredentialDetails, CredentialService
from coordinator.fleet.join_tokens import DEFAULT_TTL, CreatedTokens, JoinTokens, Place
from coordinator.fleet.records import JoinTokenRecord
from protos.fleet.v1 import access_pb2 as pb
from protos.fleet.v1.access_pb2_grpc import AccessServiceServicer
from protos.moments import rfc3339


class AccessService(AccessServiceServicer):
    """Converts, asks the fleet, converts.

    `authorities` go with every certificate; `settled` returns when the broker knows of a new one.
    """

    def __init__(
        self,
        tokens: JoinTokens,
        credentials: CredentialService,
        authorities: Callable[[], tuple[bytes, ...]],
        settled: Callable[[], Awaitable[None]],
    ) -> None:
        self._tokens = tokens
        self._credentials = credentials
        self._authorities = authorities
        self._settled = settled

    async def CreateJoinTokens(self, request: pb.CreateJoinTokensRequest, context: Context) -> pb.CreateJoinTokensReply:
        """Make tokens for a site."""
        place = Place(request.site, request.name or None, dict(request.labels))
        ttl, count = _ttl(request.ttl_s), request.count or 1
        created = await asyncio.to_thread(self._tokens.create, place, caller_name(), ttl=ttl, count=count)
        return _created(created)

    async def ListJoinTokens(self, request: pb.ListJoinTokensRequest, context: Context) -> pb.ListJoinTokensReply:
        """All tokens."""
        found = await asyncio.to_thread(self._tokens.list)
        return pb.ListJoinTokensReply(tokens=[_token(token) for token in found])

    async def DeleteJoinToken(self, request: pb.DeleteJoinTokenRequest, context: Context) -> pb.DeleteJoinTokenReply:
        """Delete a token that nobody used."""
        await asyncio.to_thread(self._tokens.delete, request.id)
        return pb.DeleteJoinTokenReply()

    async def RevokeNode(self, request: pb.RevokeNodeRequest, context: Context) -> pb.RevokeNodeReply:
        """Refuse a node from now on."""
        revoke = self._credentials.revoke_node
        return pb.RevokeNodeReply(node_id=await asyncio.to_thread(revoke, request.node, caller_name(), request.reason))

    async def ReplaceNode(self, request: pb.ReplaceNodeRequest, context: Context) -> pb.CreateJoinTokensReply:
        """Refuse a node, and make a token for what takes its place."""
        replace = self._credentials.replace_node
        return _created(await asyncio.to_thread(replace, request.node, caller_name(), _ttl(request.ttl_s)))

    async def IssueCredential(self, request: pb.IssueCredentialRequest, context: Context) -> pb.Credential:
        """A certificate for a person or a program."""
        issue = self._credentials.issue
        issued = await asyncio.to_thread(issue, request.role, request.name, request.csr, request.days)
        await self._settled()
        return self._issued(issued)

    async def ListCredentials(self, request: pb.ListCredentialsRequest, context: Context) -> pb.ListCredentialsReply:
        """All people and programs."""
        found = await asyncio.to_thread(self._credentials.list)
        return pb.ListCredentialsReply(credentials=[_entry(details) for details in found])

    async def RevokeCredential(self, request: pb.RevokeCredentialRequest, context: Context) -> pb.RevokeCredentialReply:
        """Refuse a person or a program from now on."""
        await asyncio.to_thread(self._credentials.revoke, request.principal, caller_name(), request.reason)
        return pb.RevokeCredentialReply()

    async def IssueBrokerCertificate(
        self, request: pb.IssueBrokerCertificateRequest, context: Context
    ) -> pb.Credential:
        """A server's certificate for a broker."""
        issue = self._credentials.issue_for_broker
        return self._issued(await asyncio.to_thread(issue, request.names, request.csr, request.days))

    def _issued(self, certificate: Certificate) -> pb.Credential:
        return pb.Credential(
            principal=certificate.common_name,
            certificate=certificate.pem,
            authorities=self._authorities(),
            not_after=rfc3339(certificate.not_after),
        )


def _ttl(seconds: int) -> timedelta:
    return timedelta(seconds=seconds) if seconds else DEFAULT_TTL


def _created(created: CreatedTokens) -> pb.CreateJoinTokensReply:
    return pb.CreateJoinTokensReply(tokens=created.lines, expires_at=rfc3339(created.expires_at))


def _token(token: JoinTokenRecord) -> pb.JoinToken:
    return pb.JoinToken(
        id=token.id,
        site=token.site,
        name=token.name or "",
        created_by=token.created_by,
        created_at=rfc3339(token.created_at),
        expires_at=rfc3339(token.expires_at),
        used_at=_optional(token.used_at),
        node_id=token.node or "",
        replaces=token.replaces or "",
    )


def _entry(details: CredentialDetails) -> pb.CredentialEntry:
    return pb.CredentialEntry(
        principal=details.issued.principal,
        not_after=rfc3339(details.issued.not_after),
        issued_at=rfc3339(details.issued.issued_at),
        revoked_at=_optional(details.revoked_at),
    )


def _optional(moment: datetime | None) -> str:
    return "" if moment is None else rfc3339(moment)
