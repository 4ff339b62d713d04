"""MLServer: `python mlstart.py HTTP GRPC`, with its settings in a folder of its own."""

import json
import os
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent

folder = Path(tempfile.mkdtemp(prefix="mlserver-"))
ports = {"http_port": int(sys.argv[1]), "grpc_port": int(sys.argv[2]), "metrics_port": int(sys.argv[1]) + 7}
server = {"host": "127.0.0.1", **ports, "parallel_workers": 0, "debug": False, "grpc_max_message_length": 64 << 20}
model = {"name": "m", "implementation": "mlruntime.Runtime", "parameters": {"uri": "./"}}
(folder / "settings.json").write_text(json.dumps({**server, "metrics_endpoint": None}), encoding="utf-8")
(folder / "model-settings.json").write_text(json.dumps(model), encoding="utf-8")
for name in ("mlruntime.py", "engine.py"):
    (folder / name).symlink_to(HERE / name)
os.chdir(folder)
program = str(Path(sys.executable).with_name("mlserver"))
os.execve(program, [program, "start", str(folder)], {**os.environ, "PYTHONPATH": str(folder)})
