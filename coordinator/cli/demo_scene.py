"""Setting the demo's scene: a coordinator, the model, the nodes, a deployment; each through its public door.

    with Children(folder) as children:
        scene = Scene(children, folder, assets())
        scene.make_coordinator()                     # scene.credentials
        scene.start_coordinator(channel)
        model = scene.push_model(channel)
        scene.start_node(channel, "cam-1", "hall-a")
        scene.deploy(channel, model)

Everything is a child process or a call of the coordinator's gRPC API, with certificates as anywhere. Not here: what
the nodes deliver (demo.py).
"""

import json
import socket
import time
from pathlib import Path

import grpc
import yaml

from coordinator.cli.bundle_folder import read_bundle
from coordinator.cli.demo_children import Child, Children, failed
from coordinator.cli.push import push, sign
from coordinator.cli.secret_file import write_secret
from coordinator.errors import NotFound
from coordinator.trust.signing_keys import read_key
from protos.fleet.v1 import (
    access_pb2,
    access_pb2_grpc,
    deployment_pb2,
    deployment_pb2_grpc,
    system_pb2,
    system_pb2_grpc,
)

READY_S = 45.0
LOOPBACK = "127.0.0.1"
MODEL = "inspection"


def assets() -> Path:
    """The folder with the demo's bundle and clip: in the installed package, or in the checkout.

    Raises:
        NotFound: neither has them.
    """
    here = Path(__file__).resolve()
    for folder in (here.parent / "demo_assets", here.parents[2] / "deploy" / "demo"):
        if (folder / MODEL / "model.toml").is_file():
            return folder
    raise NotFound("the demo's model and clip are missing: install nearfield again, or run from a source checkout")


def free_port() -> int:
    """A TCP port that was free a moment ago."""
    with socket.create_server((LOOPBACK, 0)) as server:
        return int(server.getsockname()[1])


class Scene:
    """The running parts, and where they are."""

    def __init__(self, children: Children, folder: Path, assets: Path) -> None:
        self._children = children
        self._folder = folder
        self.assets = assets
        self.port = free_port()

    @property
    def address(self) -> str:
        """The coordinator's gRPC."""
        return f"{LOOPBACK}:{self.port}"

    @property
    def home(self) -> Path:
        """The coordinator's folder."""
        return self._folder / "coordinator"

    @property
    def credentials(self) -> Path:
        """The administrator's credential."""
        return self.home / "admin.pem"

    def state_dir(self, node: str) -> Path:
        """A node's state folder."""
        return self._folder / node

    def make_coordinator(self) -> None:
        """Make its folder, with the keys that everything else trusts.

        Raises:
            PartFailed: it cannot be made.
        """
        ports = ("--port", str(self.port), "--enroll-port", "0", "--broker-port", "0")
        place = ("--dir", str(self.home), "--host", LOOPBACK, *ports, "--no-announce")
        self._children.run("edge-coordinator init", "coordinator", "init", *place)

    def start_coordinator(self, channel: grpc.Channel) -> system_pb2.SystemStatus:
        """Start it and wait until it answers on the channel.

        Raises:
            PartFailed: it ended, or does not answer.
        """
        child = self._children.start("edge-coordinator serve", "coordinator", "serve", "--dir", str(self.home))
        return self._answering(child, channel)

    def _answering(self, child: Child, channel: grpc.Channel) -> system_pb2.SystemStatus:
        stub = system_pb2_grpc.SystemServiceStub(channel)  # type: ignore[no-untyped-call]
        deadline = time.monotonic() + READY_S
        while time.monotonic() < deadline:
            self._children.check()
            try:
                status: system_pb2.SystemStatus = stub.GetStatus(system_pb2.GetStatusRequest(), timeout=2)
            except grpc.RpcError:
                time.sleep(0.1)
            else:
                return status
        raise failed(child, f"does not answer on {self.address} after {READY_S:.0f} s")

    def push_model(self, channel: grpc.Channel) -> str:
        """Push the demo's bundle and sign it; the version as `name@number`."""
        pushed = push(channel, read_bundle(self.assets / MODEL), lambda _path, _held: None)
        version = sign(channel, pushed.version, [read_key(self.home / "keys" / "publisher.key")])
        return f"{version.model}@{version.version}"

    def start_node(self, channel: grpc.Channel, name: str, site: str) -> Child:
        """Start a node whose camera is the clip, played round and round at its own pace; it enrolls with a token."""
        stub = access_pb2_grpc.AccessServiceStub(channel)  # type: ignore[no-untyped-call]
        created = stub.CreateJoinTokens(access_pb2.CreateJoinTokensRequest(site=site, name=name), timeout=10)
        token, config = self._folder / f"{name}.token", self._folder / f"{name}.toml"
        write_secret(token, created.tokens[0].encode())
        text = (
            f"token_file = {json.dumps(str(token))}\n"
            f"state_dir = {json.dumps(str(self.state_dir(name)))}\n\n[sources.line]\n"
            f"url = {json.dumps(str(self.assets / 'clip' / 'line.mp4'))}\nloop = true\nrealtime = true\n"
        )
        config.write_text(text, encoding="utf-8")
        return self._children.start(f"edge-node {name}", "edge_node", "run", "--config", str(config))

    def deploy(self, channel: grpc.Channel, model: str) -> None:
        """Let every node run the model on its camera."""
        spec = yaml.safe_load((self.assets / "deployment.yaml").read_text(encoding="utf-8"))
        request = deployment_pb2.ApplyDeploymentRequest(spec_json=json.dumps({**spec, "model": model}))
        stub = deployment_pb2_grpc.DeploymentServiceStub(channel)  # type: ignore[no-untyped-call]
        stub.ApplyDeployment(request, timeout=10)
