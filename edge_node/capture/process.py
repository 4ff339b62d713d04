"""The capture process: told its source on standard input, reports on standard output, ends when the input does.

Standard input carries one line of JSON (`CaptureConfig`, which may hold a camera's password: it must not be seen by
`ps`) and is then held open by the agent; its end means that the agent is gone.
"""

import os
import sys
import threading

import msgspec

from edge_node.capture.capturing import Capturing
from edge_node.capture.lifeline import die_with_parent
from edge_node.capture.messages import CaptureConfig, CaptureReport
from edge_node.errors import BadInput, Exit

_READ_BYTES = 4096
_REPORT_S = 1.0


def main() -> int:
    """Capture until the source fails or the agent is gone. The exit code is that of the commands."""
    die_with_parent()
    config = msgspec.json.decode(sys.stdin.buffer.readline(), type=CaptureConfig)
    printing = threading.Lock()
    try:
        capturing = Capturing(config, lambda: _print(capturing.report(), printing))
        capturing.listen()
    except BadInput as error:
        _print(CaptureReport(f"failed: {error}"), printing)
        return Exit.FAILED
    threading.Thread(target=_end_with_the_agent, args=(capturing,), daemon=True).start()
    threading.Thread(target=_report_regularly, args=(capturing, printing), daemon=True).start()
    try:
        capturing.run()
    except BadInput:
        capturing.stop()
        return Exit.FAILED
    threading.Event().wait()  # the source has ended: its state is still told, until the agent ends us
    return Exit.DONE


def _end_with_the_agent(capturing: Capturing) -> None:
    while os.read(sys.stdin.fileno(), _READ_BYTES):
        pass
    capturing.stop()
    os._exit(Exit.DONE)  # the main thread may be waiting for a camera


def _report_regularly(capturing: Capturing, printing: threading.Lock) -> None:
    pause = threading.Event()
    while True:
        _print(capturing.report(), printing)
        pause.wait(_REPORT_S)


def _print(report: CaptureReport, printing: threading.Lock) -> None:
    try:
        with printing:
            os.write(sys.stdout.fileno(), msgspec.json.encode(report) + b"\n")
    except OSError:
        os._exit(Exit.FAILED)  # nobody reads us: the agent is gone
