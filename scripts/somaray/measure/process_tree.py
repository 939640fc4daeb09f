"""The processes of one session, read from /proc: who they are, what they hold, and an end for all of them.

The measured program is started as a session of its own. Unlike parenthood, a session is kept when a parent dies, so
whatever the program started is found by it (proc(5), field 6 of /proc/PID/stat).
"""

import os
import signal
import socket
import time
from pathlib import Path
from typing import NamedTuple

_CLOCK_TICKS = os.sysconf("SC_CLK_TCK")
_KIB = 1024
_HOST = socket.gethostname()


type Process = tuple[str, int]
"""What tells a process from all others of an execution: its host and its number there."""


class ProcessSample(NamedTuple):
    """One process at one moment; None is what the kernel did not tell."""

    pid: int
    pss_bytes: int | None
    rss_bytes: int
    peak_rss_bytes: int
    cpu_seconds: float
    read_bytes: int | None
    disk_read_bytes: int | None
    host: str = _HOST

    @property
    def process(self) -> Process:
        """Whose sample it is."""
        return self.host, self.pid


def tree_pids(root: int) -> list[int]:
    """List a process and all that descend from it, zombies left out."""
    children: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):
        fields = _stat(int(entry)) if entry.isdigit() else None
        if fields is not None and fields[0] not in ("Z", "X"):
            children.setdefault(int(fields[1]), []).append(int(entry))
            if int(entry) == root:
                children.setdefault(root, [])
    found, left = [], [root] if root in children else []
    while left:
        found.append(left.pop())
        left += children.get(found[-1], ())
    return sorted(found)


def session_pids(session: int) -> list[int]:
    """List the live processes of a session, zombies left out."""
    pids = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            fields = _stat(int(entry))
            if fields is not None and int(fields[3]) == session and fields[0] not in ("Z", "X"):
                pids.append(int(entry))
    return sorted(pids)


def _stat(pid: int) -> list[str] | None:
    """Fields of /proc/PID/stat from the state on (proc(5) field 3); the name before may hold spaces and parentheses."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None


def _fields(pid: int, name: str, wanted: tuple[str, ...]) -> dict[str, int]:
    try:
        lines = Path(f"/proc/{pid}/{name}").read_text().splitlines()
    except OSError:
        return {}
    pairs = (line.partition(":") for line in lines)
    return {key: int(rest.split()[0]) for key, _, rest in pairs if key in wanted}


def sample(pid: int) -> ProcessSample | None:
    """Read one process; None if it is gone or going."""
    stat = _stat(pid)
    status = _fields(pid, "status", ("VmRSS", "VmHWM"))
    if stat is None or "VmHWM" not in status:
        return None
    rollup = _fields(pid, "smaps_rollup", ("Pss",))
    io = _fields(pid, "io", ("rchar", "read_bytes"))
    return ProcessSample(
        pid=pid,
        pss_bytes=rollup["Pss"] * _KIB if "Pss" in rollup else None,
        rss_bytes=status.get("VmRSS", 0) * _KIB,
        peak_rss_bytes=status["VmHWM"] * _KIB,
        # utime and stime: proc(5) fields 14 and 15, here counted from field 3.
        cpu_seconds=(int(stat[11]) + int(stat[12])) / _CLOCK_TICKS,
        read_bytes=io.get("rchar"),
        disk_read_bytes=io.get("read_bytes"),
    )


def end_session(session: int, grace_seconds: float = 0.0) -> list[int]:
    """End every process of a session and return those that were alive.

    SIGTERM first if there is a grace, then SIGKILL until none is left: a process may start another while it is ended.
    """
    alive = session_pids(session)
    if alive and grace_seconds > 0:
        _signal(alive, signal.SIGTERM)
        deadline = time.monotonic() + grace_seconds
        while session_pids(session) and time.monotonic() < deadline:
            time.sleep(0.05)
    while left := session_pids(session):
        _signal(left, signal.SIGKILL)
        time.sleep(0.02)
    return alive


def _signal(pids: list[int], number: signal.Signals) -> None:
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue
