"""Which variant serves on this device, and on what: decided from proofs alone.

A variant may have been proven on several rungs (see `ladder`): it is as fast as the fastest that agrees, which it
serves on, and the others are what it falls to. Only variants that agree may serve. Among them the fastest (95th
percentile; the median of it over repeated proofs) wins, but the choice is sticky: another must be at least 10 % faster
than the variant that served before. A pin wins over speed, never over disagreement.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

import msgspec

from edge_node.engine.ladder import name_of
from edge_node.engine.proof import VariantProof

STICKY = 0.10
"""How much faster another variant must be than the previous choice, as a fraction of that one's latency."""


@dataclass(frozen=True)
class Choice:
    """The variant that serves: its first proof with the median of the latencies of all, and why this one.

    `ladder` names all rungs that agree, the fastest first, which is the proof's; `loads_ms` is what loading took on
    each.
    """

    proof: VariantProof
    reason: str
    ladder: tuple[str, ...] = ()
    loads_ms: Mapping[str, float] = field(default_factory=dict)


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
    by_rung = _by_rung(proofs)
    files = list(dict.fromkeys(proof.file for proof in proofs))
    if pin is not None and pin not in files:
        return NoChoice(f"the pinned variant {pin!r} is not in the bundle or not proven: {_names(files)}")
    candidates = [tries for (file, _), tries in by_rung.items() if pin in (None, file)]
    agreeing = [_summed(tries) for tries in candidates if all(proof.agrees for proof in tries)]
    if not agreeing:
        return NoChoice("; ".join(_complaint(tries) for tries in candidates) or "the bundle has no variants")
    ladders: dict[str, list[VariantProof]] = {}
    for proof in sorted(agreeing, key=lambda proof: proof.p95_ms):
        ladders.setdefault(proof.file, []).append(proof)
    if pin is not None:
        return _chosen(ladders[pin], "pinned")
    return _fastest(ladders, previous)


def _fastest(ladders: dict[str, list[VariantProof]], previous: str | None) -> Choice:
    """Of ladders by file, the one whose best rung is the fastest."""
    p95 = {file: rungs[0].p95_ms for file, rungs in ladders.items()}
    best = min(p95, key=lambda file: p95[file])
    if previous in p95 and best != previous and p95[best] > (1 - STICKY) * p95[previous]:
        kept = f"kept: {best} at {p95[best]:.2f} ms is not 10 % under {p95[previous]:.2f} ms"
        return _chosen(ladders[previous], kept)
    if len(p95) == 1:
        return _chosen(ladders[best], "the only variant that agrees")
    return _chosen(ladders[best], f"the fastest of {len(p95)} that agree: p95 {p95[best]:.2f} ms")


def _chosen(rungs: Sequence[VariantProof], reason: str) -> Choice:
    best = rungs[0]
    if len(rungs) > 1:
        reason += f"; on {name_of(best)}, the fastest of {len(rungs)} rungs that agree"
    loads_ms = {name_of(proof): proof.load_ms for proof in rungs}
    return Choice(best, reason, tuple(loads_ms), loads_ms)


def _summed(tries: Sequence[VariantProof]) -> VariantProof:
    p50_ms, p95_ms = (median(getattr(proof, key) for proof in tries) for key in ("p50_ms", "p95_ms"))
    return msgspec.structs.replace(tries[0], p50_ms=p50_ms, p95_ms=p95_ms)


def _by_rung(proofs: Sequence[VariantProof]) -> dict[tuple[str, str], list[VariantProof]]:
    by_rung: dict[tuple[str, str], list[VariantProof]] = {}
    for proof in proofs:
        by_rung.setdefault((proof.file, name_of(proof)), []).append(proof)
    return by_rung


def _names(files: Sequence[str]) -> str:
    return f"proven are {', '.join(files)}" if files else "nothing is proven"


def _complaint(tries: Sequence[VariantProof]) -> str:
    proof = next(proof for proof in reversed(tries) if not proof.agrees)
    if proof.error:
        return f"{proof.file} ({proof.engine}): {proof.error}"
    numbers = f"agreement {proof.agreement:.4g} against {proof.tolerance:.4g} on {proof.vectors} golden vectors"
    return f"{proof.file} ({proof.engine}): {numbers}"
