"""Whether a deployment fits the bundle that it names: its variant, and what it overrides. Pure."""

from collections.abc import Iterator

from coordinator.errors import Refused
from protos.bundle import Manifest
from protos.deployment import Deployment
from protos.egress import undeclared

READ_BY = {"top_k": "classification", "score_threshold": "detection", "threshold": "anomaly"}
"""Key of a pipeline → the only `decode` of an output that it changes."""


def check_variant(spec: Deployment, manifest: Manifest) -> None:
    """The variant that the deployment wants is one of the bundle's.

    Raises:
        Refused: it is not; those that there are.
    """
    known = [variant.file for variant in manifest.variants]
    if spec.variant is not None and spec.variant not in known:
        raise Refused(
            f"deployment {spec.name!r}: {spec.model} has no variant {spec.variant!r}; it has: {', '.join(known)}"
        )


def check_egress(spec: Deployment, manifest: Manifest) -> None:
    """What the model gives may leave the nodes.

    Raises:
        Refused: its outputs are raw, and a pipeline does not declare them.
    """
    for pipeline in spec.pipelines:
        why = undeclared(str(manifest.task), pipeline)
        if why is not None:
            raise Refused(f"deployment {spec.name!r}: {why}")


def misfits(spec: Deployment, manifest: Manifest) -> tuple[str, ...]:
    """What the deployment overrides in vain, a line each. What a bundle without outputs gives is read by its task."""
    given = {str(output.decode) for output in manifest.outputs} or {str(manifest.task)}
    return tuple(
        f"pipeline {name!r}: {key} changes nothing: it is for {READ_BY[key]}, and {spec.model} does "
        f"{', '.join(sorted(given))}"
        for name, key in _overrides(spec)
        if READ_BY[key] not in given
    )


def _overrides(spec: Deployment) -> Iterator[tuple[str, str]]:
    for pipeline in spec.pipelines:
        for key in READ_BY:
            if getattr(pipeline, key) is not None:
                yield pipeline.name, key
