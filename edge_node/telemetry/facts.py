"""The facts that a node reports of its device."""

import platform
from collections.abc import Mapping
from pathlib import Path

import msgspec

from edge_node import __version__
from edge_node.config import NodeConfig, live_way
from edge_node.telemetry import system
from protos.reported import EgressPolicy, Facts


def device_facts(engines: Mapping[str, str], config: NodeConfig, sandbox: str = "") -> Facts:
    """What this device is and has.

    Args:
        engines: name → version of the engines that are installed; the stub, which runs no real model, is left out.
        config: its own configuration: the names of its sources, what it keeps from leaving, where live results go.
        sandbox: what confines the processes that open models.
    """
    return Facts(
        hostname=platform.node(),
        machine=platform.machine(),
        cores=system.cores(),
        memory_mb=(system.memory_kb() or 0) // 1024,
        agent_version=__version__,
        engines={name: version for name, version in engines.items() if name != "stub"},
        sources=tuple(sorted(config.sources)),
        egress=EgressPolicy(**msgspec.structs.asdict(config.egress)),
        sandbox=sandbox,
        live=live_way(config.live, config.egress),
        timezone=system.timezone(),
        disk_free_mb=(system.disk_free_bytes(Path(config.state_dir)) or 0) // 2**20,
    )
