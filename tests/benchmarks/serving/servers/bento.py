"""BentoML with base64: `bentoml serve bento:Node --host 127.0.0.1 --port HTTP`."""

import base64

import bentoml
import numpy as np
from engine import session, shape_and_type


@bentoml.service(workers=1, threads=2, traffic={"timeout": 60, "max_concurrency": 64}, metrics={"enabled": False})
class Node:
    """One worker of two threads."""

    def __init__(self) -> None:
        self.session, (self.shape, self.dtype) = session(), shape_and_type()

    @bentoml.api
    def infer(self, b64: str) -> str:
        """One inference."""
        values = np.frombuffer(base64.b64decode(b64), self.dtype).reshape(-1, *self.shape)
        return base64.b64encode(self.session.run(None, {"input": values})[0].tobytes()).decode()
