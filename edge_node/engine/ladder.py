"""What a variant can run on here and in which order, and when what has fallen is tried again. Pure.

A *rung* is an engine on an accelerator. The rungs of a variant are all proven by its golden vectors; those that agree
make its ladder, the fastest first. One that fails at run time has fallen: the next one takes over, and what has fallen
is tried again later, ever later where it goes on failing.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from edge_node.engine.proof import VariantProof
from edge_node.rungs import EngineSettings, Rung

TAKES = {".onnx": ("openvino",), ".tflite": ("openvino",)}
"""By the suffix of a file, the engines that run it beside the one of its format."""

FIRST_S, LONGEST_S = 30.0, 3600.0

LEAST_LOAD_S, TIMES_PROVEN = 3.0, 5.0
"""What a rung may take to load where another is left: so many times what it took when it was proven, at least this."""


@dataclass(frozen=True)
class Fall:
    """That a rung failed, how often in a row, and when it may be tried again (monotonic seconds)."""

    reason: str
    attempts: int
    retry_at: float


def rungs_of(file: str, engine: str, golden: bool, settings: EngineSettings, here: Collection[str]) -> tuple[Rung, ...]:
    """What a variant is to be tried on, the processor with the engine that its manifest names first.

    Args:
        file: of the variant.
        engine: that the manifest names.
        golden: whether the bundle has golden vectors: without them nobody knows whether another rung is right.
        settings: of the node.
        here: the engines that are installed.
    """
    own = Rung(engine)  # type: ignore[arg-type]  # the manifest's engines are among a rung's
    if not golden:
        return (own,)
    suffix = file[file.rfind(".") :].lower()
    others = [one for one in settings.also if one in TAKES.get(suffix, ()) and one in here]
    engines = {engine, *others}
    found = (own, *(Rung(one) for one in others), *(one for one in settings.devices if one.engine in engines))
    unique = tuple({one.name: one for one in reversed(found)}.values())[::-1]
    if settings.only is None:
        return unique
    return tuple(one for one in unique if one.name == settings.only) or (own,)


def name_of(proof: VariantProof) -> str:
    """The rung that a proof was made on: `onnxruntime/cuda`."""
    return f"{proof.engine}/{proof.accelerator}"


def known_rungs(settings: EngineSettings) -> dict[str, Rung]:
    """The rungs of the configuration by their names."""
    return {rung.name: rung for rung in settings.devices}


def engines_text(settings: EngineSettings) -> str:
    """What of the configuration a kept choice depends on, in words; empty where it says nothing."""
    devices = (f"{rung.name} {rung.library} {sorted(rung.options.items())}" for rung in settings.devices)
    said = [*settings.also, *devices, *filter(None, (settings.only,))]
    return f"; engines: {', '.join(said)}" if said else ""


def ladder_of(names: Sequence[str], known: Mapping[str, Rung]) -> tuple[Rung, ...]:
    """The rungs of these names, those that the node's configuration still has; a processor needs none."""
    rungs = (known.get(name) or _processor(name) for name in names)
    return tuple(rung for rung in rungs if rung is not None)


def led_by(names: Sequence[str], engine: str) -> tuple[str, ...]:
    """A ladder with an engine's processor first, where that is one of its rungs and the best is a processor, too."""
    best = Rung(engine).name  # type: ignore[arg-type]  # of one that runs here
    if best not in names or _processor(names[0]) is None:
        return tuple(names)
    return (best, *(name for name in names if name != best))


def after_fall(before: Fall | None, reason: str, now: float) -> Fall:
    """The fall after one more failure: twice the wait each time, up to an hour."""
    attempts = 1 if before is None else before.attempts + 1
    return Fall(reason, attempts, now + min(LONGEST_S, FIRST_S * 2.0 ** min(attempts - 1, 10)))


def standing(count: int, falls: Mapping[int, Fall], now: float) -> int:
    """The place of the best rung that may be used now; the last one always may.

    Args:
        count: of rungs.
        falls: by place; those of the past count until they are forgotten.
        now: monotonic seconds.
    """
    usable = (place for place in range(count) if place not in falls or falls[place].retry_at <= now)
    return next(usable, count - 1)


def load_patience_s(names: Sequence[str], at: int, loads_ms: Mapping[str, float], instances: int) -> float | None:
    """How long a load may take before its rung is given up for the next one; None: as long as any load may.

    Args:
        names: of the rungs, best first.
        at: the place of the rung that it begins with.
        loads_ms: by name, what loading took when the rung was proven, where that is known.
        instances: that are loaded one after the other.
    """
    if at >= len(names) - 1 or names[at] not in loads_ms:
        return None
    return max(LEAST_LOAD_S, TIMES_PROVEN * loads_ms[names[at]] / 1e3) * max(1, instances)


def told(names: Sequence[str], falls: Mapping[int, Fall], now_at: int) -> str:
    """What is said of a session that is not on its best rung: `fell back from X: reason`; empty on the best."""
    return "; ".join(
        f"fell back from {names[place]}: {falls[place].reason}" for place in range(now_at) if place in falls
    )


def _processor(name: str) -> Rung | None:
    engine, _, accelerator = name.partition("/")
    return Rung(engine) if accelerator == Rung("stub").accelerator else None  # type: ignore[arg-type]
