"""`edge-node serve`: models from files, served to clients on this machine; no coordinator."""

import argparse
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from edge_node.cli.options import natural, positive, thread_count
from edge_node.config import NodeConfig, default_state_dir, read_config
from edge_node.errors import Exit

_SERVING = (*("grpc", "http", "metrics", "tls_cert", "tls_key", "self_signed", "key_file", "client_ca", "require_key"),)
"""options that are keys of `[serving]`"""

if TYPE_CHECKING:
    from edge_node.repository.effects import CameToServe
    from edge_node.serve import FileServer, Telling
    from edge_node.serving.control import Listening


def register(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare the command."""
    parser = subparsers.add_parser("serve", help="serve models to clients of the Open Inference Protocol")
    parser.add_argument(
        "paths", nargs="+", type=Path, metavar="PATH", help=".tflite and .onnx files, bundles, model repositories"
    )
    parser.add_argument("--grpc", metavar="HOST:PORT", help="(127.0.0.1:8001); an empty address stays closed")
    parser.add_argument("--http", metavar="HOST:PORT", help="(127.0.0.1:8000)")
    parser.add_argument("--metrics", metavar="HOST:PORT", help="(127.0.0.1:8002)")
    parser.add_argument("--tls-cert", metavar="FILE", help="PEM, for ports that others reach; with --tls-key")
    parser.add_argument("--tls-key", metavar="FILE", help="its key")
    parser.add_argument("--self-signed", action="store_const", const=True, help="a certificate made here, once")
    parser.add_argument("--key-file", metavar="FILE", help="clients' keys: edge-node key create")
    parser.add_argument("--client-ca", metavar="FILE", help="clients show a certificate of these authorities")
    parser.add_argument("--require-key", action="store_const", const=True, help="of clients on this machine, too")
    parser.add_argument("--instances", type=positive, metavar="N", help="of each model (as many as there are cores)")
    parser.add_argument("--threads", type=thread_count, metavar="N", help="of each instance (1)")
    parser.add_argument("--max-batch", type=natural, metavar="N", help="samples put together; 1: never (8)")
    parser.add_argument("--variant", metavar="FILE", help="which file of a bundle (the fastest that agrees)")
    parser.add_argument("--config", type=Path, metavar="FILE", help="an edge-node.toml; the command line wins")
    parser.add_argument("--log-level", choices=("debug", "info", "warning", "error"), help="(warning)")
    parser.add_argument("--json", action="store_true", help="one JSON document a line")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Serve until SIGTERM or SIGINT."""
    import asyncio  # not above: every command registers

    from edge_node.repository.sizing import Asked
    from edge_node.serve import FileServer
    from edge_node.store.files import private_files
    from edge_node.telemetry.logs import configure_logs

    config = configured(arguments)
    configure_logs(config.log_level, config.log_format)
    _say_certificate(config, as_json=arguments.json)
    asked = Asked(arguments.instances, arguments.threads, arguments.max_batch, arguments.variant)
    with private_files():
        asyncio.run(_until_signalled(FileServer(tuple(arguments.paths), asked, config, _telling(arguments.json))))
    return Exit.DONE


def configured(arguments: argparse.Namespace) -> NodeConfig:
    """The configuration of a command line: of a file the tables `[serving]` and `[worker]` count.

    Raises:
        BadInput, WrongUsage: what is wrong with it.
    """
    from edge_node.repository.addresses import check_addresses

    options = {name: getattr(arguments, name) for name in _SERVING}
    level = arguments.log_level or (None if arguments.config else "warning")
    config = read_config(arguments.config, {"log_level": level}, lambda _: default_state_dir("serve"))
    given = {name: option for name, option in options.items() if option is not None}
    serving = msgspec.structs.replace(config.serving, **given)
    check_addresses({"grpc": serving.grpc, "http": serving.http, "metrics": serving.metrics})
    return msgspec.structs.replace(config, serving=serving)


def _say_certificate(config: NodeConfig, *, as_json: bool) -> None:
    """Which certificate of its own the server shows, for clients to trust."""
    from edge_node.repository.opening import own_tls
    from edge_node.serving.firewall.exposure import check_exposure
    from edge_node.store.files import private_files

    check_exposure(config.serving)
    with private_files():
        tls = own_tls(config.serving, Path(config.state_dir))
    if tls is None:
        return
    from edge_node.repository.own_certificate import fingerprint

    sha256 = fingerprint(Path(tls.certificate))
    if as_json:
        _print_json({"certificate": tls.certificate, "sha256": sha256})
    else:
        print(f"TLS certificate {tls.certificate}, SHA-256 {sha256}", flush=True)


def _telling(as_json: bool) -> "Telling":
    from edge_node.serve import Telling

    return Telling(_served_json, _failed, _ready_json) if as_json else Telling(_served, _failed, _ready)


def _served(came: "CameToServe") -> None:
    found, sizing = came.copy.found, came.sizing
    instances = f"{sizing.instances} {'instance' if sizing.instances == 1 else 'instances'}"
    threads = f"{sizing.threads} {'thread' if sizing.threads == 1 else 'threads'}"
    how = f"{sizing.why}, " if sizing.why else ""
    what = f"{came.model} version {found.version}: {found.path}"
    print(f"{what}, {instances} of {threads}, {how}after {came.seconds:.2f} s", flush=True)


def _served_json(came: "CameToServe") -> None:
    found, sizing = came.copy.found, came.sizing
    _print_json(
        {
            "model": came.model,
            "version": found.version,
            "path": str(found.path),
            "instances": sizing.instances,
            "threads": sizing.threads,
            **({"why": sizing.why} if sizing.why else {}),
            "seconds": round(came.seconds, 3),
        }
    )


def _failed(model: str, reason: str) -> None:
    print(f"edge-node: model {model}: {reason}", file=sys.stderr, flush=True)


def _ready(listening: "Listening", serving: int, of: int) -> None:
    ways = {"gRPC": listening.grpc, "HTTP": listening.http, "metrics": listening.metrics}
    print("\n".join(f"{name} {address}" for name, address in ways.items() if address))
    print(f"ready: {serving} of {of} models" if serving < of else "ready", flush=True)


def _ready_json(listening: "Listening", serving: int, of: int) -> None:
    ways = {"grpc": listening.grpc, "http": listening.http, "metrics": listening.metrics}
    _print_json({"ready": True, **ways, "serving": serving, "models": of})


def _print_json(document: dict[str, object]) -> None:
    print(msgspec.json.encode(document).decode(), flush=True)


async def _until_signalled(server: "FileServer") -> None:
    import asyncio

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, server.stop)
    await server.run()
