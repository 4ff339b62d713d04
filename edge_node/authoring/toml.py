"""A manifest as a `model.toml` that a person would have written: what matters is spelled out, what is default is not.

`parse_manifest(manifest_toml(manifest)) == manifest` for every manifest. Pure text; the standard library reads TOML
and does not write it.
"""

import json
from collections.abc import Iterator, Mapping

import msgspec

from protos.bundle import Agree, Golden, Input, Manifest, Output

_SPELLED_INPUT = {"image": ("kind", "fit", "resize", "color")}
_SPELLED_OUTPUT = {
    "classification": ("decode", "top_k"),
    "detection": ("decode", "head", "score_threshold", "iou_threshold"),
}
_TOLERANCE = {
    Agree.TOP1: "the least fraction of vectors whose best class is the golden one",
    Agree.BOXES: "the least overlap (IoU) of every golden box with its match",
    Agree.VALUES: "the largest absolute difference of any value",
}
_COMMENTS = {
    "variants": "a node proves each and serves the fastest that agrees with the golden vectors",
    "inputs": "one per tensor, matched by name or by position",
    "inputs.fit": "stretch | letterbox | crop",
    "inputs.resize": "filters differ: this name is part of the contract",
    "inputs.mean": "of pixel values 0..255: (pixel - mean) / std",
    "inputs.from": "the output of the step before, zeros at first",
    "inputs.context": "samples of the step before, in front of the new ones",
    "outputs.activation": "the model gives logits",
    "outputs.background": "the class that is no object",
    "golden": "inputs with the outputs that every device must reproduce",
    "slo.p95_ms": "of one inference, preprocessing included",
}


def manifest_toml(manifest: Manifest) -> str:
    """The text of the `model.toml`."""
    document = msgspec.to_builtins(manifest)
    lines = [f"{key} = {_value(value)}" for key, value in document.items() if not _is_table(value)]
    lines += _tables("variants", [msgspec.to_builtins(variant) for variant in manifest.variants])
    lines += _tables("inputs", [_input(entry) for entry in manifest.inputs])
    lines += _tables("outputs", [_output(output) for output in manifest.outputs])
    if manifest.golden is not None:
        lines += _table("golden", _golden(manifest.golden), {"tolerance": _TOLERANCE[manifest.golden.agree]})
    if manifest.slo is not None:
        lines += _table("slo", msgspec.to_builtins(manifest.slo), {})
    return "\n".join(lines) + "\n"


def _input(entry: Input) -> dict[str, object]:
    return _spelled(entry, _SPELLED_INPUT.get(entry.kind, ("kind",)))


def _output(output: Output) -> dict[str, object]:
    return _spelled(output, _SPELLED_OUTPUT.get(output.decode, ("decode",)))


def _golden(golden: Golden) -> dict[str, object]:
    return _spelled(golden, ("vectors", "agree", "tolerance"))


def _spelled(struct: msgspec.Struct, always: tuple[str, ...]) -> dict[str, object]:
    """The keys that are not default, and those that are written always, in the order of the struct."""
    given = msgspec.to_builtins(struct)
    pairs = zip(struct.__struct_fields__, struct.__struct_encode_fields__, strict=True)
    return {
        key: given.get(key, msgspec.to_builtins(getattr(struct, field)))
        for field, key in pairs
        if key in given or key in always
    }


def _tables(name: str, tables: list[dict[str, object]]) -> Iterator[str]:
    for number, table in enumerate(tables):
        comment = _COMMENTS.get(name, "") if number == 0 else ""
        yield from ("", _commented(f"[[{name}]]", comment)) if number == 0 else (f"[[{name}]]",)
        yield from _pairs(name, table, {})


def _table(name: str, table: Mapping[str, object], comments: Mapping[str, str]) -> Iterator[str]:
    yield from ("", _commented(f"[{name}]", _COMMENTS.get(name, "")))
    yield from _pairs(name, table, comments)


def _pairs(name: str, table: Mapping[str, object], comments: Mapping[str, str]) -> Iterator[str]:
    for key, value in table.items():
        yield _commented(f"{key} = {_value(value)}", comments.get(key) or _COMMENTS.get(f"{name}.{key}", ""))


def _commented(line: str, comment: str) -> str:
    return f"{line:<33} # {comment}" if comment else line


def _is_table(value: object) -> bool:
    return isinstance(value, dict) or (isinstance(value, list | tuple) and any(isinstance(x, dict) for x in value))


def _value(value: object) -> str:
    """A string, number, truth value or array as TOML writes it (https://toml.io/en/v1.0.0)."""
    if isinstance(value, str):
        # JSON's escapes are TOML's, but for DEL, which TOML wants escaped too
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_value, value))}]"
    return repr(value)
