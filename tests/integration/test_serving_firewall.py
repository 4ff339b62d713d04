"""The inference firewall on real ports: keys, certificates, TLS, limits and refusals, over gRPC and HTTP."""

import json
import socket
import ssl
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest

from tests.authorities import Authority, Files
from tests.conformance.tiny_models import onnx_model
from tests.integration.serving_world import TWICE, Running, refused, request, serving, stub_on
from tests.waiting import comes_true

MIB = 2**20
LIMITS = "[serving.limits]\nrequests_per_s = 0.1\nburst = 40\n"


@dataclass
class Guarded:
    """A server that asks for a key, or a certificate where there is an authority of clients."""

    running: Running
    files: Files
    keys: dict[str, str]
    key_file: Path

    def stub(self, client: Files | None = None) -> Any:
        """Of gRPC, with a client's certificate or without."""
        pair = (client.key.read_bytes(), client.certificate.read_bytes()) if client else (None, None)
        trusted = grpc.ssl_channel_credentials(self.files.ca.read_bytes(), *pair)
        return stub_on(grpc.secure_channel(self.running.ready["grpc"], trusted))

    def http(
        self, path: str, key: str = "", method: str = "GET", port: str = "http"
    ) -> tuple[int, dict[str, str], Any]:
        """Status, headers and body of an answer."""
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        asked = urllib.request.Request(f"https://{self.running.ready[port]}{path}", headers=headers, method=method)
        trusted = ssl.create_default_context(cafile=str(self.files.ca))
        try:
            with urllib.request.urlopen(asked, context=trusted, timeout=20) as answer:
                return answer.status, dict(answer.headers), answer.read()
        except urllib.error.HTTPError as error:
            return error.code, dict(error.headers), json.loads(error.read() or b"null")


def _key(file: Path, name: str, *scopes: str) -> str:
    options = [option for scope in scopes for option in ("--scope", scope)]
    command = [sys.executable, "-m", "edge_node", "key", "create", "--name", name, "--key-file", str(file), *options]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def _delete_key(file: Path, name: str) -> None:
    command = [sys.executable, "-m", "edge_node", "key", "delete", "--name", name, "--key-file", str(file)]
    subprocess.run(command, check=True, capture_output=True)


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    folder = tmp_path_factory.mktemp("guarded")
    onnx_model(folder / "twice.onnx")
    files = Authority(folder / "authority").issue("server", server=True)
    keys = {"app": _key(folder / "keys", "app"), "boss": _key(folder / "keys", "boss", "infer", "admin")}
    keys["greedy"] = _key(folder / "keys", "greedy")
    config = folder / "edge-node.toml"
    config.write_text(
        f'[serving]\nrequire_key = true\nkey_file = "{folder / "keys"}"\ntls_cert = "{files.certificate}"\n'
        f'tls_key = "{files.key}"\n{LIMITS}'
    )
    with serving(folder / "twice.onnx", options=("--config", str(config)), cache=folder / "cache") as running:
        yield Guarded(running, files, keys, folder / "keys")


def _metadata(key: str) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer {key}"),)


def test_a_key_lets_a_client_infer_over_grpc_and_nobody_without(guarded: Guarded) -> None:
    stub = guarded.stub()
    answer = stub.ModelInfer(request("twice"), metadata=_metadata(guarded.keys["app"]), timeout=20)
    assert answer.raw_output_contents[0] == TWICE
    for metadata in ((), _metadata("nfk_wrong")):
        with pytest.raises(grpc.RpcError) as refusal:
            stub.ModelInfer(request("twice"), metadata=metadata, timeout=20)
        assert refusal.value.code() is grpc.StatusCode.UNAUTHENTICATED


def test_a_key_lets_a_client_ask_over_http_and_nobody_without(guarded: Guarded) -> None:
    assert guarded.http("/v2/models/twice", guarded.keys["app"])[0] == 200
    status, headers, body = guarded.http("/v2/models/twice")
    assert (status, headers["WWW-Authenticate"]) == (401, "Bearer")
    assert "edge-node key create" in body["error"]


async def test_a_running_server_takes_new_keys_and_refuses_deleted_ones(guarded: Guarded) -> None:
    """Its process may open no file any more: it is told."""
    guest = _key(guarded.key_file, "guest")
    await comes_true(lambda: guarded.http("/v2/models/twice", guest)[0] == 200, "the new key to count")
    _delete_key(guarded.key_file, "guest")
    await comes_true(lambda: guarded.http("/v2/models/twice", guest)[0] == 401, "the deleted key to count no more")


def test_models_are_loaded_by_who_has_the_scope_alone(guarded: Guarded) -> None:
    path = "/v2/repository/models/twice/load"
    assert guarded.http(path, guarded.keys["app"], "POST")[0] == 403
    assert guarded.http(path, guarded.keys["boss"], "POST")[0] == 200


def test_anybody_may_ask_whether_the_server_is_well(guarded: Guarded) -> None:
    assert guarded.http("/v2/health/ready")[0] == 200
    assert guarded.http("/healthz")[0] == 200


def test_metrics_are_for_clients_and_count_refusals_by_reason(guarded: Guarded) -> None:
    assert guarded.http("/metrics", port="metrics")[0] == 401
    counted = guarded.http("/metrics", guarded.keys["app"], port="metrics")[2].decode()
    assert 'edge_rejected_total{reason="unknown_caller"}' in counted


def test_whoever_asks_too_much_hears_when_to_come_back(guarded: Guarded) -> None:
    stub = guarded.stub()
    limited: Any = None
    for _ in range(60):
        try:
            stub.ModelInfer(request("twice"), metadata=_metadata(guarded.keys["greedy"]), timeout=20)
        except grpc.RpcError as error:
            limited = error
            break
    assert limited is not None
    assert limited.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert {"retry-after", "grpc-retry-pushback-ms"} <= {name for name, _ in limited.trailing_metadata()}
    status, headers, _ = guarded.http("/v2/models/twice", guarded.keys["greedy"])
    assert (status, int(headers["Retry-After"]) > 0) == (429, True)
    assert guarded.http("/v2/models/twice", guarded.keys["app"])[0] == 200


def test_plain_text_is_not_answered(guarded: Guarded) -> None:
    with pytest.raises(OSError):  # noqa: PT011 - whatever the client calls a connection that is closed
        urllib.request.urlopen(f"http://{guarded.running.ready['http']}/v2/health/live", timeout=20)


def test_certificates_are_clients_where_there_is_an_authority_of_clients(tmp_path: Path) -> None:
    onnx_model(tmp_path / "twice.onnx")
    ours, theirs = Authority(tmp_path / "ours"), Authority(tmp_path / "theirs")
    files = ours.issue("server", server=True)
    config = tmp_path / "edge-node.toml"
    config.write_text(
        f'[serving]\nrequire_key = true\nclient_ca = "{ours.ca}"\ntls_cert = "{files.certificate}"\n'
        f'tls_key = "{files.key}"\nprincipals = {{ "operator:alice" = ["admin"] }}\n'
    )
    with serving(tmp_path / "twice.onnx", options=("--config", str(config)), cache=tmp_path / "cache") as running:
        server = Guarded(running, files, {}, tmp_path / "none")
        answer = server.stub(ours.issue("camera")).ModelInfer(request("twice"), timeout=20)
        assert answer.raw_output_contents[0] == TWICE
        with pytest.raises(grpc.RpcError) as refusal:
            server.stub(ours.issue("operator:alice")).ModelInfer(request("twice"), timeout=20)
        assert refusal.value.code() is grpc.StatusCode.PERMISSION_DENIED
        with pytest.raises(grpc.RpcError) as stranger:
            server.stub(theirs.issue("camera")).ModelInfer(request("twice"), timeout=5)
        assert stranger.value.code() is grpc.StatusCode.UNAVAILABLE


def test_a_port_that_others_reach_is_refused_without_tls_and_keys(tmp_path: Path) -> None:
    onnx_model(tmp_path / "twice.onnx")
    code, said = refused(tmp_path / "twice.onnx", options=("--http", "0.0.0.0:0"), cache=tmp_path / "cache")
    assert code == 4
    assert "key_file" in said
    assert said.count("\n") == 1


def test_who_sends_too_much_hears_it_though_the_rest_is_thrown_away(guarded: Guarded) -> None:
    with socket.create_connection(_address(guarded.running.ready["http"]), 20) as plain:
        trusted = ssl.create_default_context(cafile=str(guarded.files.ca))
        with trusted.wrap_socket(plain, server_hostname="127.0.0.1") as connection:
            connection.sendall(_head(guarded.keys["boss"], 9 * MIB) + bytes(9 * MIB))
            assert connection.recv(4096).startswith(b"HTTP/1.1 413 ")


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    return host, int(port)


def _head(key: str, length: int) -> bytes:
    named = ("Host: x", f"Authorization: Bearer {key}", f"Content-Length: {length}")
    return "\r\n".join(("POST /v2/models/twice/infer HTTP/1.1", *named, "\r\n")).encode()
