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


def contact(folder: Path, live: bool) -> Contact:
    """A contact with a site's own broker, whose live results are kept here or not."""
    config = NodeConfig(state_dir=str(folder), egress=EgressLimits(live=live), live=LiveSink(url="mqtt://127.0.0.1:3"))
    outbox = Outbox(folder / "outbox.db", OutboxLimits())
    ears = Ears(connected=nothing, desired=nothing, acked=nothing, command=nothing, hello=nothing)
    return Contact(config, IDENTITY, outbox, ears, Gate(Topics(), config.egress), ssl.create_default_context)


@pytest.mark.parametrize("live", [True, False])
async def test_live_results_that_are_kept_here_need_no_broker_and_are_no_refusals(tmp_path: Path, live: bool) -> None:
    talking = contact(tmp_path, live)
    assert (talking.site_broker is not None) is live
    talking.publish_live("shelf", deployment.Live(state=("label",)), RESULT, [])
    talking.live.on_connected()
    talking.live.offline()
    assert talking.live.dropped == 1
    assert talking._gate.traffic.refusals == {}
