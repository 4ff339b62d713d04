"""How durable messages travel in fewer bytes: zlib with a dictionary that both ends have. Pure.

A result's JSON is mostly the same words in the same places, so that a dictionary of them (RFC 1950, FDICT) leaves about
a quarter of a single message, and a tenth of a batch. A payload that begins with `[` is plain JSON and stays valid;
0x78 begins a packed one, and names its dictionary by its checksum: a changed dictionary is a new one beside the old.
"""

import zlib

from protos.errors import ContractError
from protos.topics import MAX_PAYLOAD

PLAIN = b"["
LARGE = 8 * 1024
"""From here on a quick, coarse search is as good: a batch repeats itself."""

DICTIONARY = (
    b'[{"type":"nearfield.tombstone.v1","id":"","source":"edge/v1/nodes//durable","data":{"first":,"count":1,"reason":'
    b'"outbox_full","too_old","egress"}},{"type":"inference.tensor.v1","dataschema":"urn:nearfield:tensor:1",'
    b'"outputs":[{"name":"output","shape":[1,],"values":[0.0,{"type":"inference.anomaly.v1","dataschema":'
    b'"urn:nearfield:anomaly:1","outputs":[{"score":0.,"threshold":,"anomalous":false}],"anomalous":true,'
    b'{"type":"inference.detection.v1","dataschema":"urn:nearfield:detection:1","outputs":[{"label":"person","score":0.9'
    b',"box":[0.,0.]},{"label":"face"}],"clock":"unsynced","late":true,"engine":"onnxruntime","accelerator":"cpu",'
    b'0123456789abcdef[{"type":"inference.classification.v1","id":"","source":"edge/v1/live/","time":"2026-01-01T00:00:'
    b'00.000Z","dataschema":"urn:nearfield:classification:1","data":{"node":"","site":"","name":"","pipeline":"",'
    b'"stream":"","seq":,"model":"","version":1,"digest":"sha256:","engine":"litert","accelerator":"cpu",'
    b'"captured_at":"2026-01-01T00:00:00.000Z","clock":"synced","late":false,"latency_ms":{"queue":0.,"preprocess":0.,'
    b'"infer":1.,"postprocess":0.},"outputs":[{"label":"","score":0.9,"index":0},{"label":"","score":0.0,"index":1}],'
    b'"stream_time_s":0.0,"frame":{"width":1280,"height":720}},"specversion":"1.0","datacontenttype":"application/json"}]'
)


def packed(message: bytes) -> bytes:
    """The message in fewer bytes."""
    level = 1 if len(message) >= LARGE else 6
    packer = zlib.compressobj(level, zlib.DEFLATED, 15, 9, zlib.Z_DEFAULT_STRATEGY, DICTIONARY)
    return packer.compress(message) + packer.flush()


def unpacked(payload: bytes) -> bytes:
    """The message of a payload, packed or plain.

    Raises:
        ContractError: neither, of an unknown dictionary, or more than a message may be.
    """
    if payload[:1] != b"\x78":
        return payload
    unpacker = zlib.decompressobj(zdict=DICTIONARY)
    try:
        message = unpacker.decompress(payload, MAX_PAYLOAD + 1)
    except zlib.error as error:
        raise ContractError(f"not a packed message: {error}") from None
    if len(message) > MAX_PAYLOAD:
        raise ContractError(f"a packed message of more than {MAX_PAYLOAD} bytes")
    if not unpacker.eof or unpacker.unused_data:
        raise ContractError("a packed message that ends too early, or too late")
    return message
