"""The runtime that MLServer loads for the model."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

from engine import session
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse


class Runtime(MLModel):
    """A session, and two threads for it."""

    async def load(self) -> bool:
        """Load."""
        self.session, self.pool = session(), ThreadPoolExecutor(2)
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """One inference."""
        feeds = {"input": NumpyCodec.decode_input(payload.inputs[0])}
        loop = asyncio.get_running_loop()
        result = (await loop.run_in_executor(self.pool, self.session.run, None, feeds))[0]
        return InferenceResponse(model_name=self.name, outputs=[NumpyCodec.encode_output("output", result)])
