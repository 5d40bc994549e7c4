"""Lines for the host's log: JSON on stderr, as plugind and go-plugin hosts read them."""

from __future__ import annotations

import logging
import os
import time
from typing import Any

LEVELS = ("trace", "debug", "info", "warn", "error")


def log(level: str, message: str, /, **fields: Any) -> None:
    """Writes one entry to the host's log. From any thread; it never raises for what becomes of the line.

    `level` is trace, debug, info, warn or error. Values of fields that JSON does not have are written as their str().
    """
    import json

    if level not in LEVELS:
        raise ValueError(f"level {level!r} is none of {', '.join(LEVELS)}")
    now = time.time_ns()
    seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now // 10**9))
    entry = {
        "@level": level,
        "@message": message,
        "@timestamp": f"{seconds}.{now % 10**9 // 1000:06d}Z",
        **fields,
    }
    line = (json.dumps(entry, default=str) + "\n").encode()
    try:
        # One write for one line, past Python's buffers: lines of several threads do not mix.
        while line:
            line = line[os.write(2, line) :]
    except OSError:
        pass  # where stderr is gone, so is the line


class LogHandler(logging.Handler):
    """Sends Python's own logging to the host: `logging.basicConfig(handlers=[plugind.LogHandler()], level="INFO")`."""

    def emit(self, record: logging.LogRecord) -> None:
        """Called by logging."""
        levels = ((logging.ERROR, "error"), (logging.WARNING, "warn"), (logging.INFO, "info"))
        level = next((name for least, name in levels if record.levelno >= least), "debug")
        try:
            log(level, self.format(record), **{"@module": record.name})
        except Exception:
            self.handleError(record)
