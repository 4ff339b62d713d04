"""The coordinator's gRPC API as `edgectl` calls it: one channel, and statuses turned back into our errors.

The channel is TLS with the credential's certificate; the coordinator must have one of the authority in the credential,
and in it the name that all coordinators have, whatever address is dialled.

with connect() as channel:
    reply = call(NodeServiceStub(channel).ListNodes, ListNodesRequest())
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import grpc
from grpc import StatusCode

from coordinator.cli.credentials import LoadedCredential, load_credential
from coordinator.cli.probe import why_not_connected
from coordinator.config import DEFAULT_GRPC_PORT
from coordinator.errors import BadInput, Conflict, NearfieldError, NotFound, Refused, Unreachable, WrongUsage
from protos.principal import SERVER_NAME

DEFAULT_ADDRESS = f"127.0.0.1:{DEFAULT_GRPC_PORT}"
CALL_S = 30.0
"""The deadline of a call that moves no content."""
LONG_CALL_S = 3600.0
"""The deadline of a call that moves or reads content."""
OPTIONS = (
    ("grpc.enable_http_proxy", 0),
    ("grpc.max_receive_message_length", 64 * 1024 * 1024),
    ("grpc.ssl_target_name_override", SERVER_NAME),
)

address: ContextVar[str] = ContextVar("address", default=DEFAULT_ADDRESS)
"""host:port of the coordinator, of --coordinator or NEARFIELD_COORDINATOR."""
named_by: ContextVar[str] = ContextVar("named_by", default="--coordinator")
"""Which of the two it was."""
credentials: ContextVar[Path | None] = ContextVar("credentials", default=None)
"""The file of --credentials or NEARFIELD_CREDENTIALS; None: where credentials lie by default."""

ERRORS: dict[StatusCode, type[NearfieldError]] = {
    StatusCode.INVALID_ARGUMENT: BadInput,
    StatusCode.NOT_FOUND: NotFound,
    StatusCode.FAILED_PRECONDITION: Conflict,
    StatusCode.PERMISSION_DENIED: Refused,
}
"""The inverse of coordinator/api/errors.py."""


@contextmanager
def connect() -> Iterator[grpc.Channel]:
    """A channel to the coordinator; what goes wrong on it is raised as one of our errors.

    Raises:
        WrongUsage: the address is none.
        Refused, BadInput: there is no credential that can be used.
        Unreachable, Refused, NotFound, …: as the coordinator says.
    """
    target = checked_address(address.get())
    credential = load_credential(credentials.get())
    with grpc.secure_channel(target, tls(credential), options=OPTIONS) as channel:
        try:
            yield channel
        except grpc.RpcError as error:
            raise error_of(error, target, credential) from None


def tls(credential: LoadedCredential) -> grpc.ChannelCredentials:
    """What gRPC needs of a credential."""
    parts = credential.parts
    return grpc.ssl_channel_credentials(parts.authorities, parts.key, parts.certificate)


def call(method: Callable[..., Any], request: Any, timeout: float = CALL_S) -> Any:
    """A unary call with a deadline."""
    return method(request, timeout=timeout)


def checked_address(text: str) -> str:
    """The address itself.

    Raises:
        WrongUsage: not host:port.
    """
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isascii() or not port.isdecimal() or not 0 < int(port) < 65536:
        raise WrongUsage(f"{named_by.get()} {text!r}: write host:port, for example {DEFAULT_ADDRESS}")
    return text


def error_of(error: grpc.RpcError, target: str, credential: LoadedCredential) -> NearfieldError:
    """Our error for a call that failed."""
    code, details = error.code(), str(error.details() or "")
    if code is StatusCode.UNAVAILABLE:
        return why_not_connected(target, credential) if _is_transport(details) else Unreachable(details)
    if code is StatusCode.DEADLINE_EXCEEDED:
        return Unreachable(f"the coordinator at {target} did not answer in time: is it overloaded?")
    if code is StatusCode.UNIMPLEMENTED:
        return Refused(f"what answers at {target} is not a coordinator of this version")
    return ERRORS.get(code, NearfieldError)(details or f"the coordinator at {target} failed: {code.name}")


def _is_transport(details: str) -> bool:
    """Whether gRPC itself could not connect; the coordinator's own words begin otherwise."""
    return not details.startswith(("database ", "node ", "the broker "))
