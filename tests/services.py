"""All methods of all gRPC services of the contract, from their descriptors."""

import importlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

FOLDER = Path(__file__).parents[1] / "protos" / "fleet" / "v1"
PACKAGE = "nearfield.fleet.v1."


@dataclass(frozen=True)
class Method:
    """A method, and how to call it with an empty request."""

    name: str
    """`Service/Method`"""
    request: type[Message]
    reply: type[Message]
    streams_in: bool
    streams_out: bool

    @property
    def path(self) -> str:
        """As it stands in a call."""
        return f"/{PACKAGE}{self.name}"

    def call(self, channel: Any) -> Any:
        """Call it with an empty message; an `AioRpcError` where it is refused."""
        kind = f"{'stream' if self.streams_in else 'unary'}_{'stream' if self.streams_out else 'unary'}"
        multicallable = getattr(channel, kind)(
            self.path, request_serializer=self.request.SerializeToString, response_deserializer=self.reply.FromString
        )
        return multicallable(iter([self.request()]) if self.streams_in else self.request(), timeout=10)


def _methods() -> Iterator[Method]:
    for file in sorted(FOLDER.glob("*.proto")):
        module = importlib.import_module(f"protos.fleet.v1.{file.stem}_pb2")
        for service in module.DESCRIPTOR.services_by_name.values():
            for method in service.methods:
                yield Method(
                    name=f"{service.name}/{method.name}",
                    request=GetMessageClass(method.input_type),
                    reply=GetMessageClass(method.output_type),
                    streams_in=method.client_streaming,
                    streams_out=method.server_streaming,
                )


METHODS = tuple(_methods())
