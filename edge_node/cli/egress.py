"""`edge-node egress test`: what may leave this device, and the proof that nothing else does."""

import argparse
import logging
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from edge_node.config import EgressLimits, NodeConfig, live_way
from edge_node.errors import BadInput, Exit

if TYPE_CHECKING:
    from edge_node.link.gate import Gate
    from protos.reported import LiveWay


class Allowed(msgspec.Struct, frozen=True):
    """A kind of message that may leave. `fields` are written with dots; `max_bytes` of a message."""

    kind: str
    max_bytes: int
    fields: tuple[str, ...]


class Trial(msgspec.Struct, frozen=True):
    """What became of a message that was pushed through the gate; `reason` and `line` say why it stayed."""

    message: str
    left: bool
    as_it_should: bool
    reason: str = ""
    line: str = ""


class EgressReport(msgspec.Struct, frozen=True):
    """Everything that `edge-node egress test --json` prints; `live` is a `LiveWay`: what becomes of live results."""

    policy: EgressLimits
    live: str
    allowed: tuple[Allowed, ...]
    trials: tuple[Trial, ...]
    passed: bool


def register(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare the command."""
    parser = subparsers.add_parser("egress", help="what may leave this device")
    commands = parser.add_subparsers(dest="egress_command", required=True, metavar="COMMAND")
    test = commands.add_parser("test", help="show what may leave, and prove that nothing else does")
    test.add_argument("--config", type=Path, metavar="FILE", help="an edge-node.toml, for its [egress]")
    test.add_argument("--json", action="store_true", help="as a JSON document (docs/reference/egress.md)")
    test.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Push canaries through the gate, print, and fail where one got through or an ordinary message did not.

    Raises:
        BadInput: the configuration cannot be used; or the gate does not do what the contract says.
    """
    from edge_node.cli.egress_text import egress_text

    logging.getLogger("edge_node").addHandler(logging.NullHandler())  # refusals are what is printed here
    report = report_of(*_egress(arguments.config))
    print(msgspec.json.encode(report).decode() if arguments.json else egress_text(report))
    wrong = [trial.message for trial in report.trials if not trial.as_it_should]
    if wrong:
        raise BadInput(f"the gate does not keep the egress contract: {', '.join(wrong)}: this agent must not be used")
    return Exit.DONE


def report_of(limits: EgressLimits, live: "LiveWay") -> EgressReport:
    """What may leave under a node's configuration, and what became of each canary."""
    from edge_node.link.gate import Gate
    from edge_node.outbox.canaries import canaries, ordinary
    from protos.topics import Topics

    topics, gate = Topics(), Gate(Topics(), msgspec.structs.replace(limits, max_kbit_s=None))
    pushed = [*canaries(topics), *ordinary(topics)]
    trials = tuple(_trial(gate, one.name, one.topic, one.payload, one.may_leave) for one in pushed)
    return EgressReport(limits, live, _allowed(limits), trials, all(trial.as_it_should for trial in trials))


def _trial(gate: "Gate", name: str, topic: str, payload: bytes, expected: bool) -> Trial:
    refusal, left = gate.refusal(topic, payload), gate.may_leave(topic, payload)
    if refusal is None:
        return Trial(name, left, as_it_should=left is expected)
    kept_by_choice = refusal.reason == "switched_off"
    return Trial(name, left, not left and (kept_by_choice or not expected), refusal.reason, refusal.line)


def _allowed(limits: EgressLimits) -> tuple[Allowed, ...]:
    from edge_node.link.gate import switched_off
    from protos.egress import CONTRACT
    from protos.egress_shown import fields_of

    return tuple(
        Allowed(str(kind), allowance.max_bytes, fields_of(allowance.what) or (allowance.text,))
        for kind, allowance in CONTRACT.items()
        if not switched_off(kind, limits)
    )


def _egress(file: Path | None) -> "tuple[EgressLimits, LiveWay]":
    from edge_node.config import read_config

    config = NodeConfig(state_dir="") if file is None else read_config(file, {})
    return config.egress, live_way(config.live, config.egress)
