"""Writes the first file of every target's corpus: one valid document each. `python -m tests.fuzz.seeds`"""

import gzip
import io
import wave
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
from PIL import Image

from coordinator.authority.certificates import authority_certificate
from coordinator.authority.keys import certificate_request, new_key
from coordinator.link.embedded import packets
from protos.command import Command
from protos.deployment import Pipeline
from protos.desired import Desired, DesiredDeployment, encode_desired
from protos.digest import digest_of
from protos.envelope import ACKED, public_bytes, seal
from protos.identity import NodeId, StreamId
from protos.inference import grpc_service_pb2 as oip
from protos.join_token import PREFIX, JoinToken
from protos.oci import BundleFile, write_manifest
from protos.packing import packed
from protos.release import Downgrade, Release, encode
from protos.reported import Acked, Facts, Hello, Reported, ReportedDeployment, Status
from protos.time_statement import time_statement
from protos.trust import Signer, TrustRoot, encode_root
from tests.fuzz.targets import CORPUS, ID, KEY, THEN
from tests.hostile.onnx_files import function_chain
from tests.hostile.tflite_files import calling

DEMO = Path(__file__).parents[2] / "deploy" / "demo"
LATER = datetime(2027, 5, 1, 10, tzinfo=UTC)
ACKNOWLEDGED = msgspec.json.encode(Acked(NodeId(ID), StreamId(ID), 7))
SHELF = DesiredDeployment("shelf", "inspection", 2, digest_of(b"bundle"), (Pipeline("shelf", "line", fps=2.0),))
EVENT = (
    b'{"specversion":"1.0","type":"inference.classification.v1","id":"00000000000000000000000000000000/1",'
    b'"source":"edge/v1/live/store-12/cam-3/shelf","time":"2026-05-01T10:00:00.123Z","datacontenttype":'
    b'"application/json","dataschema":"urn:nearfield:classification:1","data":{"node":"00000000000000000000000000000000","site":"store-12",'
    b'"name":"cam-3","pipeline":"shelf","stream":"00000000000000000000000000000000","seq":1,"outputs":[]}}'
)


def seeds() -> dict[str, bytes]:
    """One valid document for every target."""
    root = _root(1)
    return {
        "manifest": (DEMO / "inspection" / "model.toml").read_bytes(),
        "oci_manifest": write_manifest([BundleFile("model.toml", digest_of(b"1"), 1)]),
        "envelope": seal(ACKED, ACKNOWLEDGED, KEY),
        "acked": ACKNOWLEDGED,
        "desired": encode_desired(Desired(NodeId(ID), 1, 2, "2026-05-01T10:00:00Z", "cam-3", "store-12", (SHELF,))),
        "command": msgspec.json.encode(
            Command(NodeId(ID), "1" * 32, THEN, THEN + timedelta(minutes=1), "logs", {"lines": "5"})
        ),
        "time_statement": time_statement(THEN, bytes(16)),
        "csr": certificate_request(new_key()),
        "certificate": authority_certificate(new_key(), THEN),
        "egress": EVENT,
        "packed": packed(b"[" + EVENT + b"]"),
        "release": encode(Release("inspection", 2, digest_of(b"2"), THEN, LATER)),
        "downgrade": encode(Downgrade("inspection", 1, digest_of(b"1"), 2, THEN, LATER)),
        "trust_root": encode_root(root),
        "next_trust_root": encode_root(_root(2)),
        "deployment_yaml": (DEMO / "deployment.yaml").read_bytes(),
        "deployment_json": b'{"name":"a","selector":"site=a","model":"m@1","pipelines":[{"name":"s","source":"s"}]}',
        "node_config": b'name = "cam-3"\n[sources.line]\nurl = "/dev/video0"\nfps = 5\n',
        "selector": b"site in (a, b), camera!=left, !gpu",
        "broker_url": b"mqtts://site:secret@broker.example:8883",
        "join_token": JoinToken(bytes(16), bytes(32), ("10.0.0.1:7071",)).text.removeprefix(PREFIX).encode(),
        "principal": b"operator:alice",
        "audit_head": b"42:" + b"0" * 64,
        "topic": f"edge/v1/nodes/{ID}/replies/diagnostics".encode(),
        "mqtt_packets": _packets(),
        "status": msgspec.json.encode(Status("online", "c1")),
        "hello": msgspec.json.encode(Hello(NodeId(ID), "c1", "0.2", Facts(cores=4), None, 1, 2, StreamId(ID), 7)),
        "reported": msgspec.json.encode(_reported()),
        "durable": b"[" + EVENT + b"]",
        "rest_body": _rest_body(),
        "rpc_body": _rpc_body(),
        "rest_coding": gzip.compress(b"{}", mtime=0),
        "video": (DEMO / "clip" / "line.mp4").read_bytes()[:20_000],
        "image": _picture(),
        "wave": _sound(),
        "golden_vector": (DEMO / "inspection" / "golden" / "0.npz").read_bytes(),
        "onnx_model": function_chain(4),
        "tflite_model": calling(1),
    }


def _root(version: int) -> TrustRoot:
    signer = Signer("publisher", public_bytes(KEY))
    return TrustRoot(version, (signer,), 1, (signer,), ("-----BEGIN CERTIFICATE-----\n",), THEN, LATER)


def _reported() -> Reported:
    failed = ReportedDeployment("shelf", "inspection", 2, digest_of(b"2"), "failed", "why")
    return Reported(NodeId(ID), 1, 2, None, "2026-05-01T10:00:00Z", (failed,))


def _packets() -> bytes:
    connect = b"\x10\x0e\x00\x04MQTT\x04\x02\x00\x1e\x00\x02c1"
    subscribe = b"\x82\x0a\x00\x01\x00\x05edge/#\x01"[:11] + b"\x01"
    return connect + packets.publish(packets.Publish("edge/v1/x", b"{}", 0, retain=False)) + subscribe


def _rest_body() -> bytes:
    head = (
        b'{"id":"1","parameters":{"timeout":1000,"sequence_id":"a","sequence_start":true},"inputs":[{"name":"x","shape"'
        b':[1,2],"datatype":"FP32","data":[[1.5,-2]]},{"name":"b","shape":[2],"datatype":"UINT8","parameters":'
        b'{"binary_data_size":2}},{"name":"t","shape":[1],"datatype":"BYTES","data":["a"]}],"outputs":[{"name":"y",'
        b'"parameters":{"classification":3,"binary_data":false}}]}'
    )
    return b"%d\n" % len(head) + head + b"ab"


def _rpc_body() -> bytes:
    request = oip.ModelInferRequest(model_name="m", id="1", raw_input_contents=[bytes(4)])
    for name in ("x", "t"):
        request.inputs.add(name=name, datatype="FP32", shape=[1, 1])
    place = request.inputs[1].parameters
    place["shared_memory_region"].string_param = "r"
    place["shared_memory_byte_size"].int64_param = 4
    request.parameters["sequence_id"].string_param = "a"
    request.parameters["timeout"].int64_param = 1000
    request.outputs.add(name="y").parameters["classification"].int64_param = 3
    return request.SerializeToString()


def _picture() -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (16, 16), (200, 100, 50)).save(stream, "JPEG")
    return stream.getvalue()


def _sound() -> bytes:
    stream = io.BytesIO()
    with wave.open(stream, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(16000)
        sound.writeframes(bytes(320))
    return stream.getvalue()


def main() -> int:
    """Write them."""
    for target, content in seeds().items():
        folder = CORPUS / target
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "seed").write_bytes(content)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
