"""What a bundle's variants were found to be worth on a labelled dataset: `evaluation.json`, a file of the bundle.

The node's tools write it, the registry reads it: a version may be required to have proven itself before it is pushed.
It speaks of files by their digest, so that it cannot be carried over to another model.
"""

import operator
import re
from collections.abc import Callable, Iterable, Mapping

import msgspec

from protos.digest import Digest
from protos.errors import ContractError
from protos.reading import read_json

EVALUATION = "evaluation.json"


class ClassScore(msgspec.Struct, frozen=True):
    """Of one class: how often it was there, how much of what was called so is so, how much of it was found."""

    label: str
    support: int
    precision: float
    recall: float
    value: float
    """in the evaluation's measure: recall for accuracy, average precision for AP50"""


class SliceScore(msgspec.Struct, frozen=True):
    """Of the samples that have `value` in the dataset's column `by`."""

    by: str
    value: str
    samples: int
    score: float


class VariantScore(msgspec.Struct, frozen=True, omit_defaults=True):
    """Of one variant; times are milliseconds of one sample, preprocessing included."""

    file: str
    digest: Digest
    engine: str
    samples: int
    score: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    failed: int = 0
    """samples that it gave no answer to; they count as wrong"""
    classes: tuple[ClassScore, ...] = ()
    slices: tuple[SliceScore, ...] = ()


class Evaluation(msgspec.Struct, frozen=True):
    """Of all variants on one dataset."""

    measure: str
    """accuracy (the best class is the right one), ap50 (VOC average precision at IoU 0.5), auroc"""
    dataset: str
    dataset_digest: Digest
    at: str
    """RFC 3339 UTC"""
    machine: str
    """what the times were measured on"""
    variants: tuple[VariantScore, ...]


class Requirement(msgspec.Struct, frozen=True):
    """A condition on every variant: `accuracy>=0.9`."""

    metric: str
    sign: str
    bound: float

    def __str__(self) -> str:
        """As it was written."""
        return f"{self.metric}{self.sign}{self.bound:g}"


_SIGNS: dict[str, Callable[[float, float], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}
_REQUIREMENT = re.compile(r"\s*([a-z][a-z0-9_]*)\s*(<=|>=|<|>)\s*([0-9]+(?:\.[0-9]+)?)\s*")


def parse_requirement(text: str) -> Requirement:
    """The condition that a text states.

    Raises:
        ContractError: it is none.
    """
    found = _REQUIREMENT.fullmatch(text)
    if found is None:
        raise ContractError(f"requirement {text!r}: write METRIC>=NUMBER, for example accuracy>=0.9 or p95_ms<=50")
    return Requirement(found[1], found[2], float(found[3]))


def read_evaluation(content: bytes) -> Evaluation:
    """What an `evaluation.json` holds.

    Raises:
        ContractError: it holds none.
    """
    return read_json(content, Evaluation, f"{EVALUATION} is no evaluation")


def metrics_of(evaluation: Evaluation, variant: VariantScore) -> dict[str, float]:
    """What may be required of a variant, by name: the measure and its worst class and slice among them."""
    values = {evaluation.measure: variant.score, "samples": float(variant.samples), "failed": float(variant.failed)}
    values |= {"p50_ms": variant.p50_ms, "p95_ms": variant.p95_ms, "p99_ms": variant.p99_ms}
    if variant.classes:
        values["worst_class"] = min(one.value for one in variant.classes)
    if variant.slices:
        values["worst_slice"] = min(one.score for one in variant.slices)
    return values


def unmet(evaluation: Evaluation, requirements: Iterable[Requirement]) -> tuple[str, ...]:
    """Which conditions which variants do not meet, a line each.

    Raises:
        ContractError: a condition names what was not evaluated.
    """
    return tuple(
        line
        for requirement in requirements
        for variant in evaluation.variants
        if (line := _unmet(evaluation, variant, requirement))
    )


def shortcomings(
    content: bytes | None, variants: Mapping[str, Digest], requirements: Iterable[Requirement]
) -> tuple[str, ...]:
    """Why a bundle does not meet conditions, a line each; nothing where it does.

    Args:
        content: of its `evaluation.json`, None where it has none.
        variants: the digest of each file that runs.
        requirements: the conditions; each variant has to meet all.

    Raises:
        ContractError: the evaluation is none, or a condition names what was not evaluated.
    """
    wanted = tuple(requirements)
    if not wanted:
        return ()
    if content is None:
        asked = ", ".join(map(str, wanted))
        return (
            f"{asked} is required, and the bundle has no {EVALUATION}: edgectl model evaluate BUNDLE DATASET --keep",
        )
    evaluation = read_evaluation(content)
    known = {(one.file, one.digest) for one in evaluation.variants}
    unknown = [file for file, digest in variants.items() if (file, digest) not in known]
    if unknown:
        return (f"{EVALUATION} is not of {unknown[0]} as it is now: edgectl model evaluate BUNDLE DATASET --keep",)
    return unmet(evaluation, wanted)


def _unmet(evaluation: Evaluation, variant: VariantScore, requirement: Requirement) -> str:
    values = metrics_of(evaluation, variant)
    value = values.get(requirement.metric)
    if value is None:
        known = ", ".join(sorted(values))
        raise ContractError(f"requirement {requirement}: {requirement.metric!r} was not evaluated; there are: {known}")
    if _SIGNS[requirement.sign](value, requirement.bound):
        return ""
    return f"{variant.file}: {requirement.metric} is {value:.4g}, and {requirement} is required"
