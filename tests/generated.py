"""The committed gRPC stubs are what the pinned generator makes of the .proto files, and so are the schemas in docs/.

python -m tests.generated            compare, exit 1 on drift
python -m tests.generated --write    write them
"""

import subprocess
import sys
import tempfile
from pathlib import Path

from protos import schemas

ROOT = Path(__file__).parent.parent
GENERATOR = ROOT / ".venv" / "proto" / "bin"
PATTERNS = ("*_pb2.py", "*_pb2.pyi", "*_pb2_grpc.py")


def generate(into: Path) -> None:
    """Write all stubs below a folder, laid out as in the repository (the repository root is the proto root)."""
    sources = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "protos").rglob("*.proto"))
    outputs = [f"--{kind}_out={into}" for kind in ("python", "mypy", "grpc_python")]
    command = [str(GENERATOR / "python"), "-m", "grpc_tools.protoc", "-I", ".", *outputs, *sources]
    environment = {"PATH": f"{GENERATOR}:/usr/bin:/bin"}
    subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True, text=True)


def stubs(below: Path) -> dict[str, bytes]:
    """The stubs below a folder, by relative path."""
    found = (path for pattern in PATTERNS for path in (below / "protos").rglob(pattern))
    return {str(path.relative_to(below)): path.read_bytes() for path in found}


def main(write: bool) -> int:
    """Compare or write; the exit code."""
    with tempfile.TemporaryDirectory() as folder:
        generate(Path(folder))
        fresh, committed = stubs(Path(folder)), stubs(ROOT)
    if write:
        for path in committed.keys() - fresh.keys():
            (ROOT / path).unlink()
        for path, content in fresh.items():
            (ROOT / path).write_bytes(content)
        schemas.write(ROOT / "docs")
        return 0
    drifted = sorted(path for path in fresh.keys() | committed.keys() if fresh.get(path) != committed.get(path))
    drifted += schemas.drifted(ROOT / "docs")
    if drifted:
        print(f"generated files differ, run make proto: {', '.join(drifted)}", file=sys.stderr)
    return bool(drifted)


if __name__ == "__main__":
    raise SystemExit(main("--write" in sys.argv[1:]))
