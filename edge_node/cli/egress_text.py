"""The report of `edge-node egress test` as text for people. Pure."""

from edge_node.cli.egress import Allowed, EgressReport, Trial
from edge_node.cli.table import table
from edge_node.config import EgressLimits

WIDTH = 92
"""Characters of fields in a line."""

LIVE_LINES = {
    "relayed": "Live results leave once, on the durable way: the coordinator publishes them for subscribers. `live`\n"
    "leaves only for results that a full disk kept out of the outbox.",
    "direct": 'Live results leave twice (live.uplink = "direct"): as durable, and as live over the uplink.',
    "site": "Live results go to the site's own broker (live.url), and to the coordinator on the durable way.",
}


def egress_text(report: EgressReport) -> str:
    """What may leave, what was tried, and the verdict."""
    kept = [trial for trial in report.trials if not trial.left]
    left = [trial.message for trial in report.trials if trial.left]
    sections = [
        "What may leave this device:",
        table(["kind", "at most", "fields"], [row for one in report.allowed for row in _rows(one)]),
        LIVE_LINES.get(report.live, ""),
        _policy(report.policy),
        "Pushed through the gate, and kept here:",
        table(["message", "reason"], [_kept(trial) for trial in kept]),
        f"Ordinary messages that left: {', '.join(left) or 'none'}",
        _verdict(report),
    ]
    return "\n\n".join(section for section in sections if section)


def _rows(one: Allowed) -> list[list[str]]:
    """A line for as many fields as fit, the kind only in the first."""
    lines = [""]
    for field in one.fields:
        joined = f"{lines[-1]}, {field}" if lines[-1] else field
        if len(joined) > WIDTH and lines[-1]:
            lines.append(field)
        else:
            lines[-1] = joined
    heads = [[one.kind, f"{one.max_bytes} bytes"], *[["", ""] for _ in lines[1:]]]
    return [[*head, line] for head, line in zip(heads, lines, strict=True)]


def _policy(policy: EgressLimits) -> str:
    switched = [word for word, on in (("live results", policy.live), ("metrics", policy.metrics)) if not on]
    lines = [f"This node's configuration also keeps {' and '.join(switched)} here."] if switched else []
    if policy.tensor_bytes is not None:
        lines.append(f"Of tensors at most {policy.tensor_bytes} bytes of a result leave, whatever deployments declare.")
    if policy.max_kbit_s is not None:
        lines.append(f"On average at most {policy.max_kbit_s:g} kbit/s leave.")
    return "\n".join(lines)


def _kept(trial: Trial) -> list[str]:
    return [trial.message, trial.reason if trial.as_it_should else f"{trial.reason} (it should have left)"]


def _verdict(report: EgressReport) -> str:
    if report.passed:
        return "Nothing else leaves: no picture, no sound, no field that is not listed."
    through = [trial.message for trial in report.trials if trial.left and not trial.as_it_should]
    return f"NOT KEPT HERE: {', '.join(through) or 'nothing'}"
