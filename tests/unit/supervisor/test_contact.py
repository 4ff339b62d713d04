"""What the node's egress policy makes of its links, before anything is connected."""

import ssl
from pathlib import Path
from typing import Any

import pytest

from edge_node.config import EgressLimits, LiveSink, NodeConfig, OutboxLimits
from edge_node.link.gate import Gate
from edge_node.membership.identity import Identity
from edge_node.outbox.queue import Outbox
from edge_node.supervisor.contact import Contact, Ears
from protos import deployment
from protos.identity import NodeId
from protos.topics import Topics
from tests.unit.protos.test_egress import RESULT

IDENTITY = Identity(NodeId("a" * 32), "127.0.0.1:1", "mqtt://127.0.0.1:2", "edge/v1", (b"k" * 32,), "cam-3", "store-12")


def nothing(*_: Any) -> Any:
    """Hears nothing."""


ELSEWHERE = LiveSink(url="mqtt://127.0.0.1:3")


def contact(folder: Path, live: bool, sink: LiveSink = ELSEWHERE) -> Contact:
    """A contact whose live results are kept here or not."""
    config = NodeConfig(state_dir=str(folder), egress=EgressLimits(live=live), live=sink)
    outbox = Outbox(folder / "outbox.db", OutboxLimits())
    ears = Ears(connected=nothing, desired=nothing, acked=nothing, command=nothing, hello=nothing)
    return Contact(config, IDENTITY, outbox, ears, Gate(Topics(), config.egress), ssl.create_default_context)


@pytest.mark.parametrize("live", [True, False])
async def test_live_results_that_are_kept_here_need_no_broker_and_are_no_refusals(tmp_path: Path, live: bool) -> None:
    talking = contact(tmp_path, live)
    assert (talking.site_broker is not None) is live
    talking.publish_live("shelf", deployment.Live(state=("label",)), RESULT, [], stored=True)
    talking.live.on_connected()
    talking.live.offline()
    assert talking.live.dropped == 1
    assert talking._gate.traffic.refusals == {}


@pytest.mark.parametrize(
    ("live", "sink", "line"),
    [
        (True, LiveSink(), "relayed by the coordinator"),
        (True, LiveSink(uplink="direct"), "published over the uplink"),
        (True, ELSEWHERE, "not connected to mqtt://127.0.0.1:3"),
        (False, LiveSink(), "kept here (egress)"),
    ],
)
async def test_the_status_says_what_becomes_of_live_results(
    tmp_path: Path, live: bool, sink: LiveSink, line: str
) -> None:
    assert contact(tmp_path, live, sink).link_report("").live == line


@pytest.mark.parametrize(("sink", "published"), [(LiveSink(), 0), (LiveSink(uplink="direct"), 1)])
async def test_only_a_node_that_says_so_publishes_results_over_the_uplink_itself(
    tmp_path: Path, sink: LiveSink, published: int
) -> None:
    talking = contact(tmp_path, live=True, sink=sink)
    talking.publish_live("shelf", deployment.Live(), RESULT, [], stored=True)
    assert talking.live.dropped == published, "not connected: what would be published is dropped"
