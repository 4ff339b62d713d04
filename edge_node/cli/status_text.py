"""The status document as text for people. Pure."""

from datetime import UTC, datetime, timedelta

from edge_node.cli.table import table
from edge_node.supervisor.status import ClockReport, PipelineReport, StatusDocument
from protos.evidence import ReportedShadow, merged
from protos.reported import Proof


def status_text(status: StatusDocument) -> str:
    """The document in sections; empty ones are left out."""
    sections = (
        *(_head(status), _deployments(status), _shadows(status), _plan(status), _pipelines(status), _sources(status)),
        *(_serving(status), _ways(status)),
    )
    return "\n\n".join(section for section in sections if section)


def _head(status: StatusDocument) -> str:
    link = "connected" if status.link.connected else "not connected"
    lines = [
        f"node {status.name} at {status.site} ({status.node or 'no id yet'}), agent {status.agent_version}",
        f"up {status.uptime_s:.0f} s, {status.memory_kb / 1024:.0f} MB, {link}: {status.link.broker}",
        status.link.coordinator,
        f"desired state {status.epoch}.{status.revision}",
    ]
    if status.link.live:
        lines.append(f"live: {status.link.live}")
    lines += _identity(status)
    if status.refusal:
        lines.append(f"refused: {status.refusal}")
    return "\n".join(lines)


def _identity(status: StatusDocument) -> list[str]:
    """The certificate, and the clock where it is not simply believed."""
    identity, clock = status.identity, status.clock
    lines = []
    if identity.expires_at:
        when = "expired at" if identity.expired else f"renewed at {identity.renews_at}, valid until"
        lines.append(f"certificate {when} {identity.expires_at} · trust root {identity.trust_root}")
    if identity.trouble:
        lines.append(identity.trouble)
    if abs(clock.system_off_s) >= 1:
        lines.append(f"the system's clock says {system_time(clock)}; it is {clock.time} ({clock.source})")
    return lines


def system_time(clock: ClockReport) -> str:
    """What the system's clock said when the agent was asked; how far it is off where that is no year we can write."""
    try:
        said = datetime.fromisoformat(clock.time) + timedelta(seconds=clock.system_off_s)
    except OverflowError:
        return f"{clock.system_off_s:.0f} s more"
    return said.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _deployments(status: StatusDocument) -> str:
    rows = [
        [one.name, f"{one.model}@{one.version}", one.phase, one.variant or "-", _proof(one.proof), one.reason]
        for one in status.deployments
    ]
    return table(["deployment", "model", "phase", "variant", "proof", "reason"], rows) if rows else ""


def _proof(proof: Proof | None) -> str:
    if proof is None:
        return "-"
    p95 = "" if proof.p95_ms is None else f", p95 {proof.p95_ms:.1f} ms"
    agreement = "" if proof.agreement is None else f" {proof.agreement:.4g} on {proof.vectors}"
    return f"{proof.status}{agreement}{p95}"


def _shadows(status: StatusDocument) -> str:
    rows = [_shadow(one.name, one.shadow) for one in status.deployments if one.shadow is not None]
    headings = ["shadow of", "rollout", "state", "compared", "agreed", "left out", "MB", "reason"]
    return table(headings, rows, frozenset(range(3, 7))) if rows else ""


def _shadow(deployment: str, told: ReportedShadow) -> list[str]:
    known = merged(told.evidence)
    agreed = f"{known.agreed / known.compared:.1%}" if known.compared else "-"
    counts = [str(known.compared), agreed, str(told.left_out), f"{told.memory_mb:.0f}"]
    return [deployment, told.rollout, told.state, *counts, told.reason]


def _plan(status: StatusDocument) -> str:
    rows = [[step.state, step.deployment or "-", step.step] for step in status.plan]
    return table(["plan", "for", "step"], rows) if rows else "plan: nothing to do, nothing to wait for"


def _pipelines(status: StatusDocument) -> str:
    headings = ["pipeline", "source", "model", "results", "dropped", "failed", "p50 ms", "p95 ms", "frames from"]
    rows = [_pipeline(one) for one in status.pipelines]
    return table(headings, rows, frozenset(range(3, 8))) if rows else ""


def _pipeline(one: PipelineReport) -> list[str]:
    counts = [str(number) for number in (one.results, one.dropped_frames, one.failed_frames)]
    latencies = ["-" if value is None else f"{value:.1f}" for value in (one.p50_ms, one.p95_ms)]
    state = f"{one.source_state}; {one.error}" if one.error else one.source_state
    return [one.name, one.source, f"{one.model}@{one.version}", *counts, *latencies, state]


def _sources(status: StatusDocument) -> str:
    rows = [[one.name, str(one.frames), str(one.bytes_in), one.state] for one in status.sources]
    return table(["source", "frames", "bytes in", "state"], rows, frozenset({1, 2})) if rows else ""


def _serving(status: StatusDocument) -> str:
    serving = status.serving
    if not serving.running:
        return ""
    ways = {"gRPC": serving.grpc, "HTTP": serving.http, "metrics": serving.metrics}
    refused = "".join(f", {count} refused ({reason})" for reason, count in sorted(serving.refused.items()) if count)
    return "\n".join(
        (
            f"clients: {', '.join(f'{name} {address}' for name, address in ways.items() if address)}",
            f"{', '.join(serving.models) or 'no model yet'}; {serving.answered} answered{refused}",
        )
    )


def _ways(status: StatusDocument) -> str:
    outbox, out = status.outbox, status.bytes.out
    dropped = "".join(f", {count} dropped ({reason})" for reason, count in outbox.dropped.items())
    oldest = f", the oldest for {outbox.oldest_s:.0f} s" if outbox.waiting else ""
    left = ", ".join(f"{kind} {count}" for kind, count in sorted(out.items())) or "nothing"
    ingress = "".join(f", {name} {count}" for name, count in sorted(status.bytes.pipelines.items()))
    refused = ", ".join(f"{count} {reason}" for reason, count in sorted(status.bytes.refused.items()))
    return "\n".join(
        [
            f"outbox: {outbox.waiting} of {outbox.last_seq} results wait ({outbox.bytes} bytes{oldest}){dropped}",
            f"bytes in: {status.bytes.taken_in}{ingress}; bytes out: {left}",
            *([f"kept here by the egress contract: {refused}"] if refused else []),
        ]
    )
