"""What a person should see before and after applying a deployment: the difference, and what was likely not meant."""

import difflib
from collections.abc import Iterable

import msgspec
import yaml

from coordinator.fleet.records import Node
from protos.deployment import Deployment, model_version


def diff_of(before: Deployment | None, after: Deployment) -> str:
    """The unified diff of two specifications as YAML; empty where they are the same."""
    lines = difflib.unified_diff(
        _yaml_lines(before), _yaml_lines(after), "applied" if before else "nothing applied", "wanted", lineterm="\n"
    )
    return "".join(lines)


def warnings_for(spec: Deployment, matched: Iterable[Node]) -> tuple[str, ...]:
    """What is allowed and likely not meant, a line each."""
    nodes = tuple(matched)
    if not nodes:
        return (f"no node matches the selector {spec.selector!r}: see edgectl node list",)
    return tuple(
        f"node {node.full_name} has no source {pipeline.source!r} (it has: {', '.join(node.facts.sources) or 'none'})"
        for node in nodes
        for pipeline in spec.pipelines
        if pipeline.source not in node.facts.sources
    )


def downgrade_warning(before: Deployment | None, after: Deployment) -> tuple[str, ...]:
    """That nodes go back to an older version of a model only where its publisher permits it; none where it is newer."""
    if before is None:
        return ()
    (model, newer), (wanted, older) = model_version(before.model), model_version(after.model)
    if model != wanted or older >= newer:
        return ()
    warning = (
        f"{after.model} is older than {before.model}: nodes refuse it where that has proven itself, unless its "
        f"publisher permits it: edgectl model permit-downgrade {after.model} --below {newer}"
    )
    return (warning,)


def _yaml_lines(spec: Deployment | None) -> list[str]:
    if spec is None:
        return []
    text: str = yaml.safe_dump(msgspec.to_builtins(spec), sort_keys=False, allow_unicode=True)
    return text.splitlines(keepends=True)
