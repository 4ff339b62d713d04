"""The parsers of what comes from outside, each with the errors by which it refuses. Anything else is a defect.

Parsers that read files get one in memory-backed storage.
"""

import json
import os
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from coordinator.audit.chain import parse_head
from coordinator.authority.certificates import described, proves, read_certificate
from coordinator.authority.csr import requested_key
from coordinator.cli.deployment_file import read_deployment_file
from coordinator.errors import NearfieldError as CoordinatorError
from coordinator.fleet.selectors import parse_selector
from coordinator.link.embedded import packets
from coordinator.results.records import Unreadable, read_message
from edge_node.capture.decoder import decode_file
from edge_node.cli.samples import _sound
from edge_node.config import read_config
from edge_node.errors import NearfieldError as NodeError
from edge_node.outbox.acked import accept_acked
from edge_node.pipeline.golden import read_vector
from edge_node.serving.inference import ServingError
from edge_node.serving.rest.coding import decompressed
from edge_node.serving.rest.question import json_length, question
from edge_node.serving.rpc.question import inference_of
from edge_node.store.trust import opened
from edge_node.supervisor.command import accept
from protos.admission.onnx import check_onnx
from protos.admission.tflite import check_tflite
from protos.broker_url import parse_broker_url
from protos.bundle import Input, parse_manifest
from protos.deployment import parse_deployment
from protos.egress import Leaving, check
from protos.envelope import ACKED, COMMAND, DESIRED, TRUST_ROOT, open_sealed, public_bytes, seal
from protos.errors import ContractError
from protos.identity import NodeId, StreamId
from protos.join_token import PREFIX, parse_join_token
from protos.oci import read_manifest
from protos.packing import unpacked
from protos.principal import principal_of
from protos.release import read_downgrade, read_release
from protos.reported import Hello, Reported, Status
from protos.time_statement import read_time_statement
from protos.topics import Topics
from protos.trust import follow, read_root

REFUSALS = (ContractError, CoordinatorError, NodeError)
ID = "0" * 32
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
"""Of the documents in the corpus; it signs nothing else."""
THEN = datetime(2026, 5, 1, 10, tzinfo=UTC)
TRUSTED = frozenset({public_bytes(KEY)})
CORPUS = Path(__file__).parent / "corpus"
MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
MAX_PACKET = 200 * 1024


@dataclass(frozen=True)
class Target:
    """A parser, and what it may raise."""

    run: Callable[[bytes], object]
    refusals: tuple[type[Exception], ...] = REFUSALS

    def __call__(self, data: bytes) -> None:
        """Parse; a refusal is an answer."""
        with suppress(*self.refusals):
            self.run(data)


def _text(parse: Callable[[str], object]) -> Callable[[bytes], object]:
    """As a command line gives it: what is no UTF-8 comes as lone surrogates."""
    return lambda data: parse(data.decode("utf-8", errors="surrogateescape"))


def _file(parse: Callable[[Path], object], suffix: str) -> Callable[[bytes], object]:
    def run(data: bytes) -> object:
        with tempfile.NamedTemporaryFile(suffix=suffix, dir=MEMORY) as file:
            file.write(data)
            file.flush()
            return parse(Path(file.name))

    return run


def _packets(data: bytes) -> None:
    """What a stranger sends to the embedded broker."""
    for kind, flags, body in packets.Splitter(MAX_PACKET).feed(data):
        match kind:
            case packets.Type.CONNECT:
                packets.read_connect(body)
            case packets.Type.PUBLISH:
                packets.read_publish(flags, body)
            case packets.Type.SUBSCRIBE:
                packets.read_subscribe(body)
            case packets.Type.UNSUBSCRIBE:
                packets.read_unsubscribe(body)
            case _:
                packets.Reader(body).short()


def _deployment(data: bytes) -> object:
    return parse_deployment(json.loads(data), "request")


def _frames(path: Path) -> None:
    for number, _ in enumerate(decode_file(str(path))):
        if number > 2:
            return


def _topics(text: str) -> object:
    return Topics().parse(text)


def _acked(data: bytes) -> object:
    """Signed as it should be, whatever is inside."""
    return accept_acked(seal(ACKED, data, KEY), TRUSTED, StreamId(ID))


def _certificate(data: bytes) -> None:
    """What whoever renews sends: it is read, named and asked for a proof."""
    certificate = read_certificate(data)
    certificate.subject.rfc4514_string()
    proves(certificate, b"no proof", b"challenge")
    described(certificate)


def _desired(data: bytes) -> object:
    return opened(seal(DESIRED, data, KEY), TRUSTED)


def _next_root(data: bytes) -> object:
    root = read_root((CORPUS / "trust_root" / "seed").read_bytes())
    return follow(root, seal(TRUST_ROOT, data, KEY))


def _rest_body(data: bytes) -> None:
    """A line with the length of the JSON, empty for all, then the body."""
    header, _, body = data.partition(b"\n")
    question("m", "", body, json_length(header.decode("latin-1") or None, body), 0)


JSON_REFUSALS = (*REFUSALS, msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What the callers of these catch, each in one place: the message is ignored and named in the log."""

TARGETS: dict[str, Target] = {
    "manifest": Target(lambda data: parse_manifest(data.decode(errors="replace"))),
    "oci_manifest": Target(read_manifest),
    "envelope": Target(lambda data: open_sealed(data, ACKED, TRUSTED)),
    "acked": Target(_acked),
    "desired": Target(_desired),
    "command": Target(lambda data: accept(seal(COMMAND, data, KEY), TRUSTED, NodeId(ID), {}, THEN)),
    "time_statement": Target(lambda data: read_time_statement(data, bytes(16))),
    "csr": Target(requested_key),
    "certificate": Target(_certificate),
    "egress": Target(lambda data: check(Leaving.LIVE, data)),
    "packed": Target(unpacked),
    "release": Target(read_release),
    "downgrade": Target(read_downgrade),
    "trust_root": Target(read_root),
    "next_trust_root": Target(_next_root),
    "deployment_yaml": Target(_file(read_deployment_file, ".yaml")),
    "deployment_json": Target(_deployment, (*REFUSALS, ValueError, RecursionError)),
    "node_config": Target(_file(lambda path: read_config(path, {}), ".toml")),
    "selector": Target(_text(parse_selector)),
    "broker_url": Target(_text(parse_broker_url)),
    "join_token": Target(_text(lambda text: parse_join_token(PREFIX + text))),
    "principal": Target(_text(principal_of)),
    "audit_head": Target(_text(parse_head)),
    "topic": Target(_text(_topics)),
    "mqtt_packets": Target(_packets, (*REFUSALS, packets.Malformed)),
    "status": Target(lambda data: msgspec.json.decode(data, type=Status), JSON_REFUSALS),
    "hello": Target(lambda data: msgspec.json.decode(data, type=Hello), JSON_REFUSALS),
    "reported": Target(lambda data: msgspec.json.decode(data, type=Reported), JSON_REFUSALS),
    "durable": Target(lambda data: read_message(data, NodeId(ID)), (Unreadable,)),
    "rest_body": Target(_rest_body, (ServingError,)),
    "rpc_body": Target(lambda data: inference_of(data, 0, None), (ServingError,)),
    "rest_coding": Target(lambda data: decompressed(data, "gzip", 1 << 16), (ServingError,)),
    "video": Target(_file(_frames, ".mp4")),
    "image": Target(_file(_frames, ".jpg")),
    "wave": Target(_file(lambda path: _sound(path, Input(kind="audio", rate=16000)), ".wav")),
    "golden_vector": Target(_file(read_vector, ".npz")),
    "onnx_model": Target(lambda data: check_onnx(memoryview(data), lambda _: None)),
    "tflite_model": Target(lambda data: check_tflite(memoryview(data))),
}
