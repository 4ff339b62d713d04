"""Which variant serves on this device: decided from proofs alone.

Only variants that agree may serve. Among them the fastest (95th percentile; the median of it over repeated proofs)
wins, but the choice is sticky: another must be at least 10 % faster than the variant that served before. A pin
wins over speed, never over disagreement.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import msgspec

from edge_node.engine.proof import VariantProof

STICKY = 0.10
"""How much faster another variant must be than the previous choice, as a fraction of that one's latency."""


@dataclass(frozen=True)
class Choice:
    """The variant that serves: its first proof with the median of the latencies of all, and why this one."""

    proof: VariantProof
    reason: str


@dataclass(frozen=True)
class NoChoice:
    """No variant may serve here; the reason has the numbers."""

    reason: str


def choose(proofs: Sequence[VariantProof], *, previous: str | None = None, pin: str | None = None) -> Choice | NoChoice:
    """The variant to serve.

    Args:
        proofs: oldest first; several of one file are repeated measurements, and each must agree. Where they were taken
            in turns (see `supervisor.rounds`), what else the device did meanwhile does not decide.
        previous: the file that served before.
        pin: the file that the deployment asks for.
    """
    by_file = _by_file(proofs)
    if pin is not None and pin not in by_file:
        return NoChoice(f"the pinned variant {pin!r} is not in the bundle or not proven: {_names(by_file)}")
    candidates = by_file if pin is None else {pin: by_file[pin]}
    agreeing = {file: tries for file, tries in candidates.items() if all(proof.agrees for proof in tries)}
    if not agreeing:
        return NoChoice("; ".join(_complaint(tries) for tries in candidates.values()) or "the bundle has no variants")
    if pin is not None:
        return Choice(_summed(agreeing[pin]), "pinned")
    return _fastest(agreeing, previous)


def _fastest(agreeing: dict[str, list[VariantProof]], previous: str | None) -> Choice:
    p95 = {file: median(proof.p95_ms for proof in tries) for file, tries in agreeing.items()}
    best = min(p95, key=lambda file: p95[file])
    if previous in p95 and best != previous and p95[best] > (1 - STICKY) * p95[previous]:
        return Choice(
            _summed(agreeing[previous]), f"kept: {best} at {p95[best]:.2f} ms is not 10 % under {p95[previous]:.2f} ms"
        )
    if len(p95) == 1:
        return Choice(_summed(agreeing[best]), "the only variant that agrees")
    return Choice(_summed(agreeing[best]), f"the fastest of {len(p95)} that agree: p95 {p95[best]:.2f} ms")


def _summed(tries: Sequence[VariantProof]) -> VariantProof:
    p50_ms, p95_ms = (median(getattr(proof, key) for proof in tries) for key in ("p50_ms", "p95_ms"))
    return msgspec.structs.replace(tries[0], p50_ms=p50_ms, p95_ms=p95_ms)


def _by_file(proofs: Sequence[VariantProof]) -> dict[str, list[VariantProof]]:
    by_file: dict[str, list[VariantProof]] = {}
    for proof in proofs:
        by_file.setdefault(proof.file, []).append(proof)
    return by_file


def _names(by_file: dict[str, list[VariantProof]]) -> str:
    return f"proven are {', '.join(by_file)}" if by_file else "nothing is proven"


def _complaint(tries: Sequence[VariantProof]) -> str:
    proof = next(proof for proof in reversed(tries) if not proof.agrees)
    if proof.error:
        return f"{proof.file} ({proof.engine}): {proof.error}"
    numbers = f"agreement {proof.agreement:.4g} against {proof.tolerance:.4g} on {proof.vectors} golden vectors"
    return f"{proof.file} ({proof.engine}): {numbers}"
