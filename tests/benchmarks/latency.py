"""Capture to result on the real MobileNetV2, at 20 frames a second, which the engine can keep.

From the wall clock at capture to the observation at the agent; and all the way, through a real agent, its outbox's
commit, its gate, TLS and Mosquitto, to the arrival of the live message at a subscriber: relayed by the coordinator
after its commit, and published by the node itself.
"""

import asyncio
import json
import shutil
import tempfile
import time
from datetime import datetime
from pathlib import Path

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

from tests.benchmarks.camera import Camera
from tests.benchmarks.figures import Figure, percentile
from tests.benchmarks.worked import MODELS, bundle_of, running, working
from tests.e2e.fleet import Fleet, bundle, deployment, fleet, until

RATE = 20.0
SECONDS = 8.0
SETTLE_S = 2.0


def measure(data: Path) -> list[Figure]:
    """p50 and p95 for both files of the model."""
    figures = []
    for file in MODELS:
        with tempfile.TemporaryDirectory() as folder:
            model = data / "models" / file
            bundle = bundle_of(model, data / "models" / "imagenet_labels.txt", Path(folder) / "bundle")
            times = asyncio.run(_times_ms(bundle, Path(folder), data / "images" / "parrot.jpg"))
        note = f"1280x720 at {RATE:.0f} fps, {len(times)} frames"
        suffix = Path(file).suffix
        figures += _figures(f"{suffix} capture to result", times, note)
    if shutil.which("mosquitto", path="/usr/sbin:/usr/bin:/usr/local/sbin") is None:
        return figures
    for uplink in ("relayed", "direct"):
        times = _live_times_ms(data, uplink)
        note = f"a 1280x720 clip at {RATE:.0f} fps: agent, outbox commit, Mosquitto, subscriber; {len(times)} frames"
        figures += _figures(f"capture to live message, {uplink}", times, note)
    return figures


def _figures(name: str, times: list[float], note: str) -> list[Figure]:
    return [
        Figure("latency", f"{name} p50", percentile(times, 50), "ms", "", note),
        Figure("latency", f"{name} p95", percentile(times, 95), "ms", "<= 50", note),
    ]


async def _times_ms(bundle: Path, folder: Path, photo: Path) -> list[float]:
    with Camera(folder / "camera.sock", photo, 1280, 720, RATE) as camera:
        async with working(bundle) as worker, running(worker, camera.socket) as answers:
            await asyncio.sleep(SECONDS)
            return [(arrived - seen.captured_ns) / 1e6 for arrived, seen in answers.observations]


def _live_times_ms(data: Path, uplink: str) -> list[float]:
    """From capture to arrival, of every live message of a few seconds."""
    with tempfile.TemporaryDirectory() as folder, fleet(Path(folder)) as world:
        world.coordinate()
        config = Path(folder) / "edge-node.toml"
        config.write_text(f'[live]\nuplink = "{uplink}"\n', encoding="utf-8")
        world.node(f"shelf={data / 'video' / 'cockatoo.mp4'},loop=true,fps={RATE:.0f}", "--config", str(config))
        bundle(world, data, "mobilenet")
        world.run("edgectl", "model", "push", "mobilenet")
        world.run("edgectl", "deployment", "apply", str(deployment(world, "mobilenet-v2@1")))
        times: list[float] = []
        subscriber = _viewer(world)
        subscriber.on_message = lambda _client, _data, message: times.append(_age_ms(message))
        subscriber.loop_start()
        until(lambda: times, "the first live message")
        time.sleep(SETTLE_S)
        times.clear()
        time.sleep(SECONDS)
        subscriber.disconnect()
        subscriber.loop_stop()
        return times


def _viewer(world: Fleet) -> Client:
    """A dashboard's connection to the broker, with a credential of its own."""
    world.run("edgectl", "credential", "create", "dashboard", "--role", "viewer", "-o", "viewer.pem")
    credential = str(world.folder / "viewer.pem")
    client = Client(CallbackAPIVersion.VERSION2)

    def on_connect(*_: object) -> None:
        client.subscribe("edge/v1/live/store-12/+/shelf")

    client.on_connect = on_connect
    client.tls_set(credential, credential, credential)
    client.connect("127.0.0.1", world.broker_port)
    return client


def _age_ms(message: MQTTMessage) -> float:
    captured_at = datetime.fromisoformat(json.loads(message.payload)["data"]["captured_at"])
    return time.time() * 1e3 - captured_at.timestamp() * 1e3
