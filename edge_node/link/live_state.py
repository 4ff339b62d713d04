"""Decides the small last values of a pipeline that automations listen to: `label`, `count`, `present`. Pure.

Payloads are plain text: a label, a decimal number, `true` or `false`. Where nothing was seen the label is `none`: an
empty payload would delete the retained message.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

NOTHING = "none"


def live_states(wanted: Iterable[str], outputs: Sequence[Any]) -> dict[str, bytes]:
    """The wanted states of one result.

    Args:
        wanted: of `label`, `count`, `present`.
        outputs: the result's outputs, as structs of `protos.result` or as builtins. For anomalies only those above
            their threshold count.
    """
    seen = [output for output in map(msgspec.to_builtins, outputs) if output.get("anomalous", True)]
    values = {"label": _label(seen), "count": str(len(seen)), "present": "true" if seen else "false"}
    return {state: values[state].encode() for state in wanted}


def _label(seen: list[dict[str, Any]]) -> str:
    """The label with the highest score."""
    labelled = [output for output in seen if output.get("label")]
    return str(max(labelled, key=lambda output: output.get("score", 0.0))["label"]) if labelled else NOTHING
