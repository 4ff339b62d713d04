"""From the answers of variants to what they are worth, and to the samples that golden vectors are made of. Pure."""

from collections.abc import Mapping, Sequence
from itertools import zip_longest

from edge_node.evaluation.measures import Case, Measure
from edge_node.pipeline.latency import percentile
from protos.digest import Digest
from protos.evaluation import SliceScore, VariantScore


def score_of(file: str, digest: Digest, engine: str, cases: Sequence[Case], measure: Measure) -> VariantScore:
    """What a variant is worth."""
    taken = [one.latency_ms for one in cases if not one.error]
    return VariantScore(
        file,
        digest,
        engine,
        len(cases),
        measure.of(cases),
        percentile(taken, 50),
        percentile(taken, 95),
        percentile(taken, 99),
        failed=sum(bool(one.error) for one in cases),
        classes=measure.by_class(cases),
        slices=slices_of(cases, measure),
    )


def slices_of(cases: Sequence[Case], measure: Measure) -> tuple[SliceScore, ...]:
    """The measure for each value of each column that the dataset has beside file and label."""
    columns = sorted({column for one in cases for column in one.groups})
    return tuple(
        SliceScore(column, value, len(found), measure.of(found))
        for column in columns
        for value, found in sorted(_grouped(cases, column).items())
    )


def _grouped(cases: Sequence[Case], column: str) -> Mapping[str, list[Case]]:
    groups: dict[str, list[Case]] = {}
    for one in cases:
        groups.setdefault(one.groups.get(column, ""), []).append(one)
    return groups


def golden_files(cases: Sequence[Case], most: int) -> tuple[str, ...]:
    """The samples for golden vectors: answered rightly, as many labels as there are places, in the dataset's order.

    A sample that the reference itself gets wrong would hold devices to a mistake.
    """
    by_label: dict[str, list[str]] = {}
    for one in cases:
        if not one.error and (one.answered == one.label or not one.label or not one.answered):
            by_label.setdefault(one.label, []).append(one.file)
    rounds = zip_longest(*by_label.values())
    return tuple(dict.fromkeys(file for each in rounds for file in each if file is not None))[:most]
