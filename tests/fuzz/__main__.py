"""Fuzz one target with coverage, from its corpus on: `python -m tests.fuzz envelope -runs=100000` (as libFuzzer).

What crashes is written to `build/fuzz/`; what is worth keeping goes to `corpus/<target>/` by hand, with its fix.
"""

import sys

from tests.fuzz.targets import CORPUS, TARGETS

FOUND = "build/fuzz"


def main(arguments: list[str]) -> int:
    """Fuzz until interrupted or done."""
    if arguments == ["--list"]:
        print(*TARGETS)
        return 0
    if not arguments or arguments[0] not in TARGETS:
        print(f"usage: python -m tests.fuzz TARGET [-runs=N] [-max_total_time=S]\ntargets: {' '.join(TARGETS)}")
        return 2
    try:
        import atheris
    except ImportError:
        print("atheris is not installed: make fuzz", file=sys.stderr)
        return 1
    from pathlib import Path

    target = arguments[0]
    grown = Path(FOUND) / target
    grown.mkdir(parents=True, exist_ok=True)
    options = [f"-artifact_prefix={FOUND}/{target}-", *arguments[1:]]
    with atheris.instrument_imports(include=["protos", "coordinator", "edge_node"]):
        for name in [name for name in sys.modules if name.split(".")[0] in ("protos", "coordinator", "edge_node")]:
            del sys.modules[name]
        del sys.modules["tests.fuzz.targets"]
        from tests.fuzz.targets import TARGETS as INSTRUMENTED
    atheris.Setup([sys.argv[0], *options, str(grown), str(CORPUS / target)], INSTRUMENTED[target])
    atheris.Fuzz()
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
