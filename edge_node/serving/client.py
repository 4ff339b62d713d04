"""The parent's handle on the serving process. No gRPC, no HTTP and no arrays here: the agent imports it.

serving = ServingProcess(settings)
serving.on_load = load_model                 # what a client's load and unload do
listening = await serving.start()
await serving.serve("mobilenet", "3", session="mobilenet@3", platform="onnxruntime_onnx")
await serving.withdraw("mobilenet@2")        # returns when its last answer has left
await serving.close()                        # what has begun is finished
"""

import asyncio
import logging
import os
import signal
import socket
import sys
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path

import msgspec

from edge_node.errors import NearfieldError
from edge_node.framing import next_body, pack
from edge_node.numbered import Requests
from edge_node.serving.control import (
    Batching,
    Done,
    Failed,
    FromParent,
    FromServer,
    Index,
    Keys,
    Listening,
    LoadModel,
    ModelState,
    Serve,
    Served,
    Timing,
    UnloadModel,
    Withdraw,
)
from edge_node.serving.firewall.key_file import LOOK_S, KeyFile
from edge_node.serving.settings import ServingSettings

log = logging.getLogger(__name__)

_START_S = 30.0
_CLOSE_MARGIN_S = 3.0
_INHERITED = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "LD_LIBRARY_PATH")
"""of the environment; the rest may be secrets"""
_ENVIRONMENT = {
    "GRPC_VERBOSITY": "NONE",
    "MALLOC_ARENA_MAX": "2",
    "SSL_CERT_FILE": os.devnull,
    "SSL_CERT_DIR": os.devnull,
}
"""No authorities of the system: it calls nobody, and reading them (aiohttp does) takes 45 ms of each start."""

_messages: msgspec.msgpack.Decoder[FromServer] = msgspec.msgpack.Decoder(FromServer)


class ServingFailed(NearfieldError):
    """The serving process cannot be started, refused something, or has ended."""


async def _nobody(model: str) -> None:
    raise ServingFailed(f"model {model} is not to be loaded or unloaded here")


class ServingProcess:
    """A serving process. All methods run on the parent's event loop."""

    def __init__(self, settings: ServingSettings) -> None:
        self.on_load: Callable[[str], Awaitable[None]] = _nobody
        """a client wants a model loaded; returns when it serves, raises `NearfieldError` where it cannot"""
        self.on_unload: Callable[[str], Awaitable[None]] = _nobody
        self.on_exit: Callable[[str], None] = lambda _: None
        """called once, with the reason, when the process ends without having been closed"""
        self.served: Served | None = None
        """what it has answered so far, newest"""
        self.pid: int | None = None
        self._settings = settings
        self._requests: Requests[Serve | Withdraw, None] = Requests()
        self._listening: asyncio.Future[Listening] | None = None
        self._process: Process | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._reason = ""
        self._ended: str | None = None

    async def start(self) -> Listening:
        """Start the process; the addresses that it listens at.

        Raises:
            ServingFailed: it cannot be started, or cannot listen.
        """
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                self._process = await _spawn(theirs.fileno(), self._settings)
            except OSError as error:
                ours.close()
                raise ServingFailed(f"no serving process can be started: {error.strerror}") from None
        self.pid = self._process.pid
        reader, self._writer = await asyncio.open_connection(sock=ours)
        self._listening = asyncio.get_running_loop().create_future()
        self._spawn_task(self._listen(reader, self._process))
        try:
            listening = await asyncio.wait_for(asyncio.shield(self._listening), _START_S)
        except TimeoutError:
            await self.close()
            raise ServingFailed(f"the serving process said nothing within {_START_S:g} s") from None
        log.info("the process that answers clients: %s", listening.sandbox)
        if self._settings.keys:
            self._spawn_task(self._tell_keys(KeyFile(Path(self._settings.keys))))
        return listening

    async def serve(
        self, model: str, version: str, session: str, platform: str, batching: Batching | None = None,
        *, default: bool = True,
    ) -> None:  # fmt: skip
        """Answer for a version from a session; returns when its worker has connected and it answers.

        Raises:
            ServingFailed: the session was withdrawn meanwhile, or the process has ended.
        """
        await self._ask(
            Serve(self._requests.number(), model, version, session, platform, batching or Batching(), default)
        )

    async def withdraw(self, session: str) -> None:
        """Take no more for a session; returns when all that it had is answered."""
        await self._ask(Withdraw(self._requests.number(), session))

    def index(self, models: tuple[ModelState, ...], *, ready: bool = True) -> None:
        """Say all that there is to serve, and whether all that should serve does."""
        self._say(Index(models, ready))

    def timing(self, timing: Timing) -> None:
        """Say how long something took, for the metrics."""
        self._say(timing)

    async def close(self) -> None:
        """Have what has begun finished and the process ended; kill it where it hangs. Idempotent."""
        process, self._process = self._process, None
        if process is None or self._writer is None:
            return
        self._ended = self._ended or "the serving process was closed"
        self._writer.close()
        try:
            await asyncio.wait_for(process.wait(), 2 * self._settings.drain_s + _CLOSE_MARGIN_S)
        except TimeoutError:
            process.kill()
            await process.wait()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._fail_waiting()

    async def _ask(self, request: Serve | Withdraw) -> None:
        await self._requests.answer(request.request, request, lambda: self._say(request))

    def _say(self, message: FromParent) -> None:
        if self._ended is not None or self._writer is None:
            raise ServingFailed(self._ended or "the serving process has not been started")
        self._writer.write(pack(message))

    async def _listen(self, reader: asyncio.StreamReader, process: Process) -> None:
        while (body := await next_body(reader.readexactly)) is not None:
            self._hear(_messages.decode(body))
        self._died(await process.wait())

    def _hear(self, message: FromServer) -> None:
        match message:
            case Listening():
                if self._listening is not None and not self._listening.done():
                    self._listening.set_result(message)
            case Served():
                self.served = message
            case LoadModel(number, model):
                self._spawn_task(self._order(number, self.on_load(model)))
            case UnloadModel(number, model):
                self._spawn_task(self._order(number, self.on_unload(model)))
            case Done(number):
                self._requests.answered(number, None)
            case Failed(0, reason):
                self._reason = reason
            case Failed(number, reason):
                self._requests.failed(number, ServingFailed(reason))

    async def _tell_keys(self, file: KeyFile) -> None:
        """Say which keys count whenever their file has changed: the process itself may not open it any more."""
        while self._ended is None:
            if file.look():
                self._say(Keys(file.keys))
            await asyncio.sleep(LOOK_S)

    async def _order(self, number: int, order: Awaitable[None]) -> None:
        try:
            await order
        except NearfieldError as error:
            self._say(Failed(number, str(error)))
        else:
            self._say(Done(number))

    def _died(self, returncode: int) -> None:
        if self._ended is not None:
            return
        how = f"was killed by {signal.Signals(-returncode).name}" if returncode < 0 else f"ended with {returncode}"
        self._ended = self._reason or f"the serving process {how}"
        self._fail_waiting()
        if self._listening is not None and not self._listening.done():
            self._listening.set_exception(ServingFailed(self._ended))
        else:
            self.on_exit(self._ended)

    def _fail_waiting(self) -> None:
        self._requests.fail_all(lambda _: ServingFailed(self._ended or "the serving process has ended"))

    def _spawn_task(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _spawn(parent: int, settings: ServingSettings) -> Process:
    told = msgspec.json.encode(settings).decode()
    inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "edge_node.serving", str(parent), told),  # -P: no modules from this folder
        stdin=DEVNULL,
        stdout=DEVNULL,
        pass_fds=[parent],
        env=inherited | _ENVIRONMENT,
        start_new_session=True,  # Ctrl-C in a terminal is the parent's to handle
    )
