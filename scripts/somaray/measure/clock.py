"""Phases of an execution and the stream of events that tells its supervisor how far it is.

Events are JSON lines in `events.jsonl`, each with `at_seconds` of the system-wide monotonic clock, so that the sampler's
times, read in another process, fall on the same axis.
"""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Any

EVENTS = "events.jsonl"
AFAR_EVENTS = "events-afar.jsonl"
"""Those of a scheduler elsewhere, by its own clock: two hosts must not write to one file."""


class Clock:
    """Writes events; `phase` brackets a stretch of work with a begin and an end event."""

    def __init__(self, path: str | Path) -> None:
        # Line-buffered: what was written is there even if the process is killed.
        self._stream = Path(path).open("a", buffering=1)  # noqa: SIM115 (open as long as the program runs)
        self._lock = Lock()

    def event(self, kind: str, **fields: Any) -> None:
        """Write one event now."""
        line = json.dumps({"event": kind, "at_seconds": time.monotonic(), **fields})
        with self._lock:
            self._stream.write(line + "\n")

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Bracket a phase; its end is written even when it raises."""
        self.event("phase_begin", name=name)
        try:
            yield
        finally:
            self.event("phase_end", name=name)


class EventReader:
    """Reads the events written since it was last asked."""

    def __init__(self, *paths: str | Path) -> None:
        self._offsets = dict.fromkeys(map(Path, paths), 0)

    def new(self) -> list[dict[str, Any]]:
        """Return events not returned before, file by file; a half-written line waits for its end."""
        lines: list[bytes] = []
        for path, offset in self._offsets.items():
            if not path.exists():
                continue
            with path.open("rb") as stream:
                stream.seek(offset)
                data = stream.read()
            whole = data[: data.rfind(b"\n") + 1]
            self._offsets[path] += len(whole)
            lines += whole.splitlines()
        return [json.loads(line) for line in lines]
