"""A rollout's specification as its author writes it, in YAML or as options, strictly checked. Pure: no file is read.

Options are the keys of the file with `-` for `_`, so that one table of keys serves both. The keys and their meaning
are in docs/reference/rollouts.md.
"""

from typing import Any

import msgspec

from coordinator.errors import BadInput
from coordinator.rollouts.durations import duration
from coordinator.rollouts.gates import parse_gate
from coordinator.rollouts.spec import RolloutSpec
from coordinator.rollouts.spec_check import checked_spec
from coordinator.rollouts.spec_words import (
    Duration,
    Share,
    Words,
    read_count,
    read_pairs,
    read_part_of_frames,
    read_seconds,
    read_share,
    read_shift,
    read_windows,
    read_words,
)
from coordinator.rollouts.windows import parse_window, window_text
from protos.deployment import model_version
from protos.errors import ContractError
from protos.identity import checked_name
from protos.strict import convert


class RolloutFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The keys of the file. Each is explained at its field of `RolloutSpec`."""

    deployment: str
    to: str
    canary: Share = ""
    waves: tuple[Share, ...] | str = ()
    max_parallel: Share = "10%"
    shadow: Duration = 0
    shadow_share: str | float = 1.0
    shadow_cpu: float = 0.5
    min_healthy: Duration = "10s"
    healthy_deadline: Duration = ""
    """none: `usual_deadline_s`"""
    progress_deadline: Duration = "1h"
    gates: Words = ()
    min_samples: int = 100
    slices: Words = ()
    shifts: dict[str, str] | Words = {}
    max_failures: Share = "0"
    auto_promote: bool = False
    auto_revert: bool = False
    approval: bool = False
    windows: Words = ()
    per_site: int = 0
    per_group: dict[str, int] | Words = {}
    priority: int = 0
    max_error_rate: float | None = None
    max_p95_ms: float | None = None
    max_memory_mb: float | None = None
    max_restarts: int = 1


def parse_spec(document: object, where: str) -> RolloutSpec:
    """The specification that a parsed YAML or JSON document states.

    Raises:
        BadInput: one line: what is wrong and where; for a typo the nearest key.
    """
    try:
        file = convert(document, RolloutFile, where)
        checked_name(file.deployment, f"{where}: deployment")
        model_version(file.to)
    except ContractError as error:
        raise BadInput(str(error)) from None
    return checked_spec(_spec(file, where), where)


def document_of(spec: RolloutSpec) -> dict[str, Any]:
    """The specification as a document, without what is left at its default; `parse_spec` gives it back."""
    written, default = _document(spec), _document(RolloutSpec(spec.deployment, spec.to))
    named = ("deployment", "to")
    return {key: value for key, value in written.items() if key in named or value != default.get(key)}


def _document(spec: RolloutSpec) -> dict[str, Any]:
    times: dict[str, Any] = {key: duration(getattr(spec, f"{key}_s")) for key in _DURATIONS}
    if spec.healthy_deadline_s == usual_deadline_s(spec.min_healthy_s):
        times["healthy_deadline"] = ""
    file = RolloutFile(
        **{key: getattr(spec, key) for key in _SAME},
        **times,
        windows=tuple(window_text(window) for window in spec.windows),
    )
    return dict(msgspec.to_builtins(file))


def usual_deadline_s(min_healthy_s: float) -> float:
    """The healthy deadline where none is given: Nomad's 5 minutes, or four times what a node must serve."""
    return max(300.0, 4 * min_healthy_s)


_DURATIONS = ("shadow", "min_healthy", "healthy_deadline", "progress_deadline")
_SAME = tuple(
    field for field in RolloutSpec.__struct_fields__ if field in RolloutFile.__struct_fields__ and field != "windows"
)


def _spec(file: RolloutFile, where: str) -> RolloutSpec:
    given = (key for key in _DURATIONS if key != "healthy_deadline" or file.healthy_deadline != "")
    times: dict[str, Any] = {f"{key}_s": read_seconds(getattr(file, key), f"{where}: {key}") for key in given}
    times.setdefault("healthy_deadline_s", usual_deadline_s(times["min_healthy_s"]))
    same: dict[str, Any] = {key: getattr(file, key) for key in _SAME}
    shares = {
        key: read_share(getattr(file, key), f"{where}: {key}") for key in ("canary", "max_parallel", "max_failures")
    }
    same |= shares | {
        "waves": tuple(read_share(share, f"{where}: waves") for share in read_words(file.waves)) or ("100%",),
        "shadow_share": read_part_of_frames(file.shadow_share, f"{where}: shadow_share"),
        "gates": tuple(str(parse_gate(gate, f"{where}: gates")) for gate in read_words(file.gates)),
        "slices": tuple(dict.fromkeys(read_words(file.slices))),
        "shifts": {name: read_shift(text, where) for name, text in read_pairs(file.shifts, f"{where}: shifts").items()},
        "per_group": {
            key: read_count(n, where) for key, n in read_pairs(file.per_group, f"{where}: per_group").items()
        },
        "windows": tuple(parse_window(text, f"{where}: windows") for text in read_windows(file.windows)),
    }
    return RolloutSpec(**same, **times)
