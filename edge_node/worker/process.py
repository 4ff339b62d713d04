"""The worker process: requests come in on an inherited socket, replies, observations and a status go out.

The socket is the lifeline: when it ends, the agent is gone, and so is the worker. The process is confined before it
has a second thread, an engine or a model.
"""

import os
import socket
import sys
import threading
from contextlib import suppress

import msgspec

from edge_node.capture.lifeline import die_with_parent
from edge_node.errors import Exit, Refused
from edge_node.pipeline.observation import Observation
from edge_node.sandbox.confine import confine
from edge_node.sandbox.confinement import Confinement
from edge_node.worker.door import Door
from edge_node.worker.framing import pack, read_request
from edge_node.worker.messages import Observed, Reply
from edge_node.worker.runtime import Runtime

STATUS_S = 1.0

_SWITCH_INTERVAL_S = 0.0005
"""A lane that comes back from the engine waits for the interpreter no longer than this (Python's default: 5 ms)."""


def main(arguments: list[str]) -> int:
    """Serve the agent until it closes the socket.

    Args:
        arguments: the descriptors of the agent's socket and of its door, and a `Confinement` as JSON.
    """
    die_with_parent()
    sys.setswitchinterval(_SWITCH_INTERVAL_S)
    connection, door = (socket.socket(fileno=int(descriptor)) for descriptor in arguments[:2])
    try:
        confined = confine(msgspec.json.decode(arguments[2], type=Confinement))
    except Refused as error:
        os.write(sys.stderr.fileno(), f"{error}\n".encode())
        return Exit.REFUSED
    agent = _Agent(connection)
    runtime = Runtime(agent.observed, Door(door).connect, confined)
    threading.Thread(target=_tell_status, args=(runtime, agent), name="status", daemon=True).start()
    with connection.makefile("rb") as incoming, suppress(OSError):  # it ends by a reset where answers were not read
        while (request := read_request(incoming.read)) is not None:
            agent.send(runtime.handle(request))
    # Not closed in order: nobody is left to hear the answers, and an engine may hang.
    os._exit(Exit.DONE)


class _Agent:
    """The agent at the other end. A slow one slows the pipelines down, which then drop frames at the source."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._sending = threading.Lock()

    def observed(self, observation: Observation) -> None:
        self.send(Observed((observation,)))

    def send(self, reply: Reply) -> None:
        try:
            with self._sending:
                self._connection.sendall(pack(reply))
        except OSError:
            os._exit(Exit.FAILED)  # the agent is gone


def _tell_status(runtime: Runtime, agent: _Agent) -> None:
    pause = threading.Event()
    while True:
        agent.send(runtime.status())
        pause.wait(STATUS_S)
