"""`edgectl broker`: the files of a production broker. Its key is made here and goes nowhere else."""

from pathlib import Path
from typing import Annotated

import typer

from coordinator.authority.keys import certificate_request, key_pem, new_key
from coordinator.cli.client import call, connect
from coordinator.cli.options import AsJson
from coordinator.cli.output import print_json
from coordinator.cli.secret_file import write_secret
from coordinator.errors import BadInput, Conflict
from coordinator.link.access import AccessTable
from coordinator.link.listening import authority_of
from coordinator.link.mosquitto_files import DEBIAN_PLUGIN, Listener, find_plugin, listener_lines, rules_json
from protos.fleet.v1.access_pb2 import Credential, IssueBrokerCertificateRequest
from protos.fleet.v1.access_pb2_grpc import AccessServiceStub
from protos.fleet.v1.system_pb2 import GetStatusRequest
from protos.fleet.v1.system_pb2_grpc import SystemServiceStub
from protos.topics import Topics

MOSQUITTO = "mosquitto"
LOG = "log_type error\nlog_type warning\nlog_type notice\n"
README = """\
# A broker for Nearfield

Made by `edgectl broker config` for {hosts}. On the broker's machine, with this folder at `{at}`:

```sh
sudo apt install mosquitto                      # 2.0 or newer; it brings {plugin}
sudo chown -R mosquitto: {at}
sudo mosquitto -c {at}/mosquitto.conf           # or include it from /etc/mosquitto/conf.d
```

and where the coordinator runs: `edge-coordinator serve --dir DIR --broker {url}`

In the beginning only the coordinator may do anything; it keeps everybody else's rules in `dynamic-security.json`, over
its own connection. `server.key` is the broker's secret and is nowhere else. The certificate ends at {not_after}: make
another folder before, copy its `server.pem` and `server.key` over these, and send Mosquitto a SIGHUP.
"""

app = typer.Typer(help="A production broker's files.", no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def broker() -> None:
    """A production broker's files."""


@app.command("config")
def broker_config(
    host: Annotated[list[str], typer.Option(metavar="NAME", help="A host name or address of the broker; repeatable.")],
    output: Annotated[Path, typer.Option("-o", metavar="FOLDER", help="Where to; it must be new or empty.")],
    product: Annotated[str, typer.Option("--for", metavar="PRODUCT", help="mosquitto.")] = MOSQUITTO,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Where it listens.")] = 8883,
    at: Annotated[
        str | None, typer.Option(metavar="PATH", help="Where the folder lies on the broker's machine.")
    ] = None,
    plugin: Annotated[
        str | None, typer.Option(metavar="FILE", help="The plugin's path on the broker's machine.")
    ] = None,
    days: Annotated[int, typer.Option(min=0, max=3650, help="How long the certificate works; 0: a year.")] = 0,
    as_json: AsJson = False,
) -> None:
    """TLS, identities and access rules for a broker that is not the coordinator's own."""
    _check(product, output)
    key = new_key()
    with connect() as channel:
        request = IssueBrokerCertificateRequest(csr=certificate_request(key), names=host, days=days)
        issued = call(AccessServiceStub(channel).IssueBrokerCertificate, request)  # type: ignore[no-untyped-call]
        status = call(SystemServiceStub(channel).GetStatus, GetStatusRequest())  # type: ignore[no-untyped-call]
    place = at or str(output.resolve())
    listener = Listener.below(place.rstrip("/"), "0.0.0.0", port, plugin or _plugin_here())  # noqa: S104 (with TLS)
    url = f"mqtts://{authority_of(host[0], port)}"
    written = {
        "ca.pem": b"".join(issued.authorities),
        "server.pem": issued.certificate,
        "mosquitto.conf": (listener_lines(listener) + LOG).encode(),
        "dynamic-security.json": rules_json(AccessTable(), Topics(status.topic_prefix)).encode(),
        "README.md": _readme(host, listener, url, issued).encode(),
    }
    _write(output, written, key_pem(key))
    if as_json:
        print_json({"folder": str(output), "url": url, "not_after": issued.not_after})
    else:
        print(f"{output}: run mosquitto -c {place}/mosquitto.conf there, as its README.md says")
        print(f"then, in place of the coordinator that runs: edge-coordinator serve --dir DIR --broker {url}")


def _check(product: str, output: Path) -> None:
    if product != MOSQUITTO:
        raise BadInput(
            f"--for {product}: files are written for mosquitto only; docs/reference/brokers.md has the others"
        )
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise Conflict(f"{output} is not empty: give a new folder with -o")


def _plugin_here() -> str:
    """Where the plugin lies on this machine, else where it lies on most: the broker may run on another."""
    try:
        return find_plugin()
    except BadInput:
        return DEBIAN_PLUGIN


def _readme(hosts: list[str], listener: Listener, url: str, issued: Credential) -> str:
    return README.format(
        hosts=", ".join(hosts), at=listener.store, plugin=listener.plugin, url=url, not_after=issued.not_after
    )


def _write(output: Path, files: dict[str, bytes], key: bytes) -> None:
    try:
        output.mkdir(parents=True, exist_ok=True, mode=0o700)
        for name, content in files.items():
            (output / name).write_bytes(content)
    except OSError as error:
        raise BadInput(f"{error.filename or output}: {error.strerror}: choose another folder with -o") from None
    write_secret(output / "server.key", key)
