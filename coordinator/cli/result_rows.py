"""Results as lines and as rows: what a person reads, and what a table file holds. Pure.

A result of a task that this version does not know is shown with what it has.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

TEXT, INTEGER, REAL, TRUTH, TIME = "text", "integer", "real", "truth", "time"
COLUMNS: dict[str, tuple[str, Callable[[Mapping[str, Any]], object]]] = {
    "id": (TEXT, lambda event: event["id"]),
    "time": (TIME, lambda event: event["time"]),
    "type": (TEXT, lambda event: event["type"]),
    "site": (TEXT, lambda event: event["data"]["site"]),
    "name": (TEXT, lambda event: event["data"]["name"]),
    "node": (TEXT, lambda event: event["data"]["node"]),
    "pipeline": (TEXT, lambda event: event["data"]["pipeline"]),
    "model": (TEXT, lambda event: event["data"]["model"]),
    "version": (INTEGER, lambda event: event["data"]["version"]),
    "digest": (TEXT, lambda event: event["data"].get("digest")),
    "engine": (TEXT, lambda event: event["data"].get("engine")),
    "accelerator": (TEXT, lambda event: event["data"].get("accelerator")),
    "clock": (TEXT, lambda event: event["data"].get("clock")),
    "late": (TRUTH, lambda event: event["data"].get("late")),
    "stream_time_s": (REAL, lambda event: event["data"].get("stream_time_s")),
    "queue_ms": (REAL, lambda event: event["data"].get("latency_ms", {}).get("queue")),
    "preprocess_ms": (REAL, lambda event: event["data"].get("latency_ms", {}).get("preprocess")),
    "infer_ms": (REAL, lambda event: event["data"].get("latency_ms", {}).get("infer")),
    "postprocess_ms": (REAL, lambda event: event["data"].get("latency_ms", {}).get("postprocess")),
    "outputs": (TEXT, lambda event: json.dumps(event["data"].get("outputs", []), ensure_ascii=False)),
}
"""Column → kind, and where it stands in an event. `outputs` is JSON: it differs from task to task."""

HEADINGS = ("TIME", "SITE", "NODE", "PIPELINE", "MODEL", "OUTPUTS")
SHOWN = 3
_WIDTHS = (24, 12, 16, 14, 22)


def row_of(event: Mapping[str, Any]) -> dict[str, object]:
    """An event as one row of COLUMNS; None where it has nothing."""
    return {name: take(event) for name, (_, take) in COLUMNS.items()}


def cells_of(event: Mapping[str, Any]) -> tuple[str, ...]:
    """An event in the columns of HEADINGS."""
    data = event["data"]
    model = f"{data['model']}@{data['version']}"
    return (event["time"], data["site"], data["name"], data["pipeline"], model, summary(data.get("outputs", [])))


def line_of(cells: Sequence[str]) -> str:
    """Cells as one line in fixed columns; a long one pushes the rest. What could steer a terminal is shown as `?`."""
    cells = ["".join(sign if sign.isprintable() else "?" for sign in cell) for cell in cells]
    padded = [cell.ljust(width) for cell, width in zip(cells, _WIDTHS, strict=False)]
    return " ".join([*padded, cells[-1]])


def summary(outputs: Sequence[Mapping[str, Any]]) -> str:
    """The outputs of a result in a few words."""
    if not outputs:
        return "nothing"
    more = f" +{len(outputs) - SHOWN}" if len(outputs) > SHOWN else ""
    return ", ".join(_words(output) for output in outputs[:SHOWN]) + more


def _words(output: Mapping[str, Any]) -> str:
    if "label" in output:
        return f"{output['label']} {output['score']:.3f}"
    if "score" in output:
        verdict = {"True": " anomalous", "False": " normal"}.get(str(output.get("anomalous")), "")
        return f"score {output['score']:.4g}{verdict}"
    shape = "x".join(str(size) for size in output.get("shape", ()))
    return f"{output.get('name', '?')} [{shape}]"
