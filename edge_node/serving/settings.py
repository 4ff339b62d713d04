"""What the serving process is told when it starts."""

import msgspec

from edge_node.sandbox.confinement import Mode

MIB = 2**20


class Tls(msgspec.Struct, frozen=True):
    """PEM files: the node's key and certificate chain; the authorities of clients, if these must show a certificate."""

    key: str
    certificate: str
    clients: str | None = None


class Limits(msgspec.Struct, frozen=True):
    """Of one client: a key, a certificate, else an address; 0 is none. `connections` are of an address over HTTP."""

    requests_per_s: float = 0.0
    burst: int = 0
    """requests at once; 0: twice `requests_per_s`"""
    concurrent: int = 0
    connections: int = 0


class ServingSettings(msgspec.Struct, frozen=True):
    """Addresses and limits. An empty address switches that port off.

    `lanes` is the path of the socket that workers reach their lanes by, in a folder that only this user enters.
    Nothing secret: this is on a command line. What `queue_bytes` are of is each model's waiting asks.
    """

    lanes: str
    grpc: str = "127.0.0.1:8001"
    http: str = "127.0.0.1:8000"
    metrics: str = "127.0.0.1:8002"
    request_bytes: int = 64 * MIB
    """the largest request"""
    open_bytes: int = 64 * MIB
    """what inputs without a fixed size may take together, and outputs again"""
    queue_bytes: int = 64 * MIB
    regions: int = 128
    """shared memory that clients may register"""
    json_bytes: int = 16 * MIB
    """the largest JSON of a request over HTTP; tensors behind it are not counted"""
    bodies_bytes: int = 128 * MIB
    """what requests over HTTP may hold at the same time"""
    connections: int = 512
    """over HTTP at the same time; where there are more, the one that idles longest is closed"""
    idle_s: float = 75.0
    """until a connection over HTTP without requests is closed"""
    header_s: float = 10.0
    """how long the head of a request over HTTP may take to come"""
    body_s: float = 30.0
    """how long the rest of it may take, and a request over gRPC"""
    write_s: float = 30.0
    """how long a client may take to read an answer over HTTP"""
    calls: int = 1024
    """over gRPC at the same time"""
    connection_calls: int = 256
    """of one connection"""
    grpc_connections: int = 512
    """over gRPC at the same time; more are closed"""
    halves: int = 256
    """calls over gRPC whose request has not come yet; the oldest goes where there are more"""
    handshake_s: float = 10.0
    """how long TLS may take to begin"""
    stream_requests: int = 64
    """of one ModelStreamInfer; more are not read"""
    sandbox: Mode = "auto"
    """how the process is confined"""
    tls: Tls | None = None
    """of the ports in `guarded`"""
    guarded: tuple[str, ...] = ("grpc", "http", "metrics")
    """the ports that speak TLS and ask for keys or certificates, of what there is of these"""
    keys: str = ""
    """path of the file of keys"""
    principals: dict[str, tuple[str, ...]] = {}
    """what certificates of the clients' authorities may do, by name; others may infer"""
    limits: Limits = Limits()
    resume_s: float = 5.0
    """how long asks wait for a session whose worker has died to be there again"""
    drain_s: float = 5.0
    """how long a stop waits for what has begun"""
