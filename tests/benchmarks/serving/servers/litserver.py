"""LitServe with base64 in JSON, its usual way: `python litserver.py HTTP GRPC`."""

import base64
import sys
from typing import Any

import litserve
import numpy as np
from engine import session, shape_and_type


class Api(litserve.LitAPI):
    """Two workers, a session each."""

    def setup(self, device: str) -> None:
        """Load."""
        self.session, (self.shape, self.dtype) = session(), shape_and_type()

    def decode_request(self, request: dict[str, str]) -> Any:
        """The tensor."""
        return np.frombuffer(base64.b64decode(request["b64"]), self.dtype).reshape(-1, *self.shape)

    def predict(self, values: Any) -> Any:
        """One inference."""
        return self.session.run(None, {"input": values})[0]

    def encode_response(self, result: Any) -> dict[str, str]:
        """The answer."""
        return {"b64": base64.b64encode(result.tobytes()).decode()}


if __name__ == "__main__":
    server = litserve.LitServer(Api(), accelerator="cpu", workers_per_device=2, timeout=60)
    server.run(host="127.0.0.1", port=int(sys.argv[1]), log_level="warning", generate_client_file=False)
