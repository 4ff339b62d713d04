"""How many times a model lies in a worker's memory."""

from pathlib import Path

import pytest

from edge_node.worker.messages import Load
from edge_node.worker.sessions import LoadedSession
from tests.conformance.tiny_models import onnx_model, tflite_model


@pytest.mark.parametrize(("suffix", "threads", "sessions"), [("onnx", 1, 1), ("onnx", 2, 3), ("tflite", 1, 3)])
def test_instances_share_a_session_where_the_engine_permits(
    suffix: str, threads: int, sessions: int, tmp_path: Path
) -> None:
    """With several threads each they do not: a session has one pool of them, whoever runs."""
    model = (onnx_model if suffix == "onnx" else tflite_model)(tmp_path / f"m.{suffix}")
    loaded = LoadedSession(Load(1, "s", str(model), "", threads, instances=3))
    assert len(loaded.instances) == len({id(lock) for _, lock in loaded.instances}) == 3
    assert len({id(session) for session, _ in loaded.instances}) == sessions
    loaded.close()
    loaded.close()
