"""How the agent logs: lines for people or JSON for machines, on standard error; the newest are kept in memory."""

import json
import logging
import sys
from collections import deque
from datetime import UTC, datetime
from typing import Literal

RECENT_LINES = 500


class TextFormatter(logging.Formatter):
    """`12:00:01 INFO supervisor.reconciler: load session …`."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(room)s: %(message)s", "%H:%M:%S")

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line (an exception adds its own)."""
        record.room = record.name.removeprefix("edge_node.")
        return super().format(record)


class JsonFormatter(logging.Formatter):
    """One JSON object a line: `at` (RFC 3339 UTC), `level`, `logger`, `message`, `exception` where there is one."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line."""
        document = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            document["exception"] = self.formatException(record.exc_info)
        return json.dumps(document, ensure_ascii=False)


class RecentLines(logging.Handler):
    """The newest lines of the log, for who asks from afar. Exceptions are named, not told whole."""

    def __init__(self, lines: int = RECENT_LINES) -> None:
        super().__init__()
        self.lines: deque[str] = deque(maxlen=lines)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the record as one line."""
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="seconds")
        failed = f" ({record.exc_info[1]!r})" if record.exc_info else ""
        name = record.name.removeprefix("edge_node.")
        self.lines.append(f"{at} {record.levelname} {name}: {record.getMessage()}{failed}")


recent = RecentLines()
"""Of this process."""


def configure_logs(level: str, style: Literal["text", "json"]) -> None:
    """Send this program's logs to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if style == "json" else TextFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler, recent]
    root.setLevel(level.upper())
