"""AuditService: the audit log, as it is stored. Whoever reads it checks the chain."""

import asyncio
from collections.abc import AsyncIterator

from coordinator.api.errors import Context
from coordinator.audit.log import AuditLog
from protos.fleet.v1 import audit_pb2 as pb
from protos.fleet.v1.audit_pb2_grpc import AuditServiceServicer


class AuditService(AuditServiceServicer):
    """Reads, converts."""

    def __init__(self, log: AuditLog) -> None:
        self._log = log

    async def ListEntries(self, request: pb.ListEntriesRequest, context: Context) -> AsyncIterator[pb.AuditEntry]:
        """Entries, the oldest first."""
        after = request.after
        if request.newest:
            head = await asyncio.to_thread(self._log.head)
            after = max(after, head.seq - request.newest)
        entries = self._log.entries(after, request.limit)
        while (entry := await asyncio.to_thread(next, entries, None)) is not None:
            yield pb.AuditEntry(
                seq=entry.seq,
                at=entry.at,
                actor=entry.actor,
                action=entry.action,
                subject=entry.subject,
                detail=entry.detail,
                previous=entry.previous,
                hash=entry.hash,
            )
