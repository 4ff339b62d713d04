"""Puts what callers do into the audit log: one table of what counts as an act, one interceptor.

The entry commits in the transaction of the act itself (`coordinator.audit.acting`), that of a command before it is
sent. What fails or is refused, and what changes nothing, is recorded when the call ends; of calls that only read and of
streams, refusals alone. A caller that is refused again and again is recorded once a minute, so that nobody fills the
log from outside.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Any

import grpc
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

from coordinator.api.errors import Context, Handler, code_of, rewrapped
from coordinator.audit.acting import Pending, acting
from coordinator.audit.chain import Act
from coordinator.audit.log import AuditLog

SERVICE = "/nearfield.fleet.v1."
OMITTED = frozenset(
    [
        "secret",
        "csr",
        "certificate",
        "challenge",
        "signature",
        "envelope",
        "manifest",
        "root",
        "release",
        "permit",
        "facts_json",
        "results",
    ],
)
"""Fields that are secret, or large and kept elsewhere."""
MAX_SUBJECT = 200
SILENCE = timedelta(minutes=1)
MAX_REMEMBERED = 1000
STRANGER = "device at "
"""Who has no certificate yet."""


def _nothing(_request: Any) -> str:
    return ""


def _count_of_labels(request: Any) -> str:
    return f"{len(request.results)} results"


def _deployment(request: Any) -> str:
    return _key(request, "name")


def _deployment_moved(request: Any) -> str:
    return _key(request, "deployment")


def _key(request: Any, key: str) -> str:
    try:
        return str(json.loads(request.spec_json)[key])
    except (ValueError, TypeError, KeyError, RecursionError):  # refused by the method itself
        return ""


Subject = Callable[[Any], str]
ACTS: dict[str, tuple[str, Subject]] = {
    "NodeService/RenameNode": ("node.rename", attrgetter("node")),
    "NodeService/DeleteNode": ("node.delete", attrgetter("node")),
    "DeploymentService/ApplyDeployment": ("deployment.apply", _deployment),
    "DeploymentService/ApplyDeploymentNow": ("deployment.apply_now", _deployment),
    "DeploymentService/DeleteDeployment": ("deployment.delete", attrgetter("name")),
    "DeploymentService/DeleteDeploymentNow": ("deployment.delete_now", attrgetter("name")),
    "RolloutService/CreateRollout": ("rollout.create", _deployment_moved),
    "RolloutService/OrderRollout": ("rollout.order", attrgetter("rollout")),
    "RolloutService/MeasureRollout": ("rollout.measure", attrgetter("rollout")),
    "ResultService/LabelResults": ("results.label", _count_of_labels),
    "ModelService/PublishVersion": ("model.publish", attrgetter("model")),
    "ModelService/SignVersion": ("model.sign", attrgetter("model")),
    "ModelService/PermitDowngrade": ("model.permit_downgrade", _nothing),
    "ModelService/DeleteVersion": ("model.delete", attrgetter("model")),
    "TrustService/PushRoot": ("trust.push", _nothing),
    "NodeService/CommandNode": ("node.command", attrgetter("node")),
    "EnrollmentService/Enroll": ("node.enroll", attrgetter("name")),
    "EnrollmentService/RenewCertificate": ("node.renew", _nothing),
    "AccessService/CreateJoinTokens": ("token.create", attrgetter("site")),
    "AccessService/DeleteJoinToken": ("token.delete", attrgetter("id")),
    "AccessService/RevokeNode": ("node.revoke", attrgetter("node")),
    "AccessService/ReplaceNode": ("node.replace", attrgetter("node")),
    "AccessService/IssueCredential": ("credential.create", attrgetter("name")),
    "AccessService/RevokeCredential": ("credential.revoke", attrgetter("principal")),
    "AccessService/IssueBrokerCertificate": ("broker.certify", _nothing),
}
"""Method → the act, and what it is done to."""


def act_of(method: str, request: Message | None, actor: str) -> Act:
    """What a call is, as the log has it; a call that only reads goes by its method's name. `request` is None for a
    stream: its messages are content.
    """
    name = method.removeprefix(SERVICE)
    action, subject = ACTS.get(name, (name.replace("Service/", ".").lower(), _nothing))
    if request is None:
        return Act(actor, action, "", {})
    detail = MessageToDict(request, preserving_proto_field_name=True)
    shown = {key: value for key, value in detail.items() if key not in OMITTED}
    return Act(actor, action, subject(request)[:MAX_SUBJECT], shown)


def is_act(method: str, request: Any) -> bool:
    """Whether a call may change something: reading and rehearsing (`dry_run`) do not."""
    return method.removeprefix(SERVICE) in ACTS and not getattr(request, "dry_run", False)


def stranger(context: Context) -> str:
    """Who calls without a certificate: where from."""
    kind, _, address = context.peer().partition(":")
    return STRANGER + (address.rpartition(":")[0] or kind)


class AuditedCalls(grpc.aio.ServerInterceptor):
    """Between `ErrorsToStatus`, which answers errors, and the one that refuses: errors pass through as they are.

    Args:
        log: where to.
        actor: who makes a call, from its certificate; it must not raise.
        now: the clock.
    """

    def __init__(self, log: AuditLog, actor: Callable[[Context], str], now: Callable[[], datetime]) -> None:
        self._log = log
        self._actor = actor
        self._now = now
        self._refused: dict[tuple[str, str], datetime] = {}

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler | None:
        """The method's handler, wrapped. Streams move content by digest: what is done with it is a call of its own."""
        handler, method = await continuation(handler_call_details), handler_call_details.method
        if handler is None:
            return None
        reply = (
            self._read(handler.stream_unary, method)
            if handler.request_streaming
            else self._audited(handler.unary_unary, method)
        )
        return rewrapped(handler, reply, self._streamed(handler.unary_stream, method))

    def _audited(self, behaviour: Any, method: str) -> Any:
        read = self._read(behaviour, method)

        async def reply(request: Any, context: Context) -> Any:
            if not is_act(method, request):
                return await read(request, context)
            pending = self._pending(method, request, context)
            try:
                answer = await _acting(pending, behaviour, request, context)
            except Exception as error:
                await self._failed(pending, error, counts=True)
                raise
            if not pending.recorded:
                await asyncio.to_thread(self._log.record, pending.act)
            return answer

        return reply

    def _read(self, behaviour: Any, method: str) -> Any:
        """What changes nothing by itself: told only where it is refused, and looked at only then."""

        async def reply(request: Any, context: Context) -> Any:
            try:
                return await behaviour(request, context)
            except Exception as error:
                await self._failed(self._pending(method, request, context), error, counts=False)
                raise

        return reply

    def _streamed(self, behaviour: Any, method: str) -> Any:
        async def stream(request: Any, context: Context) -> AsyncIterator[Any]:
            try:
                async for message in behaviour(request, context):
                    yield message
            except Exception as error:
                await self._failed(self._pending(method, None, context), error, counts=False)
                raise

        return stream

    def _pending(self, method: str, request: Any, context: Context) -> Pending:
        one = request if isinstance(request, Message) else None
        return Pending(act_of(method, one, self._actor(context)), self._now())

    async def _failed(self, pending: Pending, error: Exception, *, counts: bool) -> None:
        """Record it before the caller hears of it."""
        code = code_of(error)
        refused = code is grpc.StatusCode.PERMISSION_DENIED
        if (refused or pending.act.actor.startswith(STRANGER)) and not self._is_news(pending):
            return
        if refused or counts:
            outcome = "failed" if code is grpc.StatusCode.INTERNAL else " ".join(str(error).split())
            await asyncio.to_thread(self._log.record, replace(pending.act, outcome=outcome))

    def _is_news(self, pending: Pending) -> bool:
        """Whether this caller did not fail at this a moment ago."""
        key = (pending.act.actor, pending.act.action)
        last = self._refused.get(key)
        if last is not None and pending.at - last < SILENCE:
            return False
        if len(self._refused) >= MAX_REMEMBERED:
            self._refused.clear()
        self._refused[key] = pending.at
        return True


async def _acting(pending: Pending, behaviour: Any, request: Any, context: Context) -> Any:
    before = acting.set(pending)
    try:
        return await behaviour(request, context)
    finally:
        acting.reset(before)
