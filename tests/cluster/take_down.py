#!/usr/bin/env python3
"""Take down the Slurm that `bring_up.py FOLDER` started, its jobs and all: `take_down.py FOLDER`.

Ends the processes that were noted down, each known by its number and the moment it began, and those of jobs that this Slurm
started; no other.
"""

import argparse
import json
import os
import signal
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from bring_up import CONFIG, PROCESSES, OneNode, start_ticks

GRACE_SECONDS = 15.0


def processes_of_jobs(folder: Path) -> list[int]:
    """Processes that a job of this Slurm left: they carry its configuration and a job's number in their environment."""
    wanted = f"SLURM_CONF={folder / CONFIG}".encode()
    found = []
    for entry in os.listdir("/proc"):
        try:
            environment = Path(f"/proc/{entry}/environ").read_bytes().split(b"\0") if entry.isdigit() else []
        except OSError:
            continue
        if wanted in environment and any(variable.startswith(b"SLURM_JOB_ID=") for variable in environment):
            found.append(int(entry))
    return found


def end(pid: int, began: int | None) -> None:
    """End a process, by force if it does not go by itself, if it is still the one that began then."""
    number = signal.SIGTERM
    deadline = time.monotonic() + GRACE_SECONDS
    while began is not None and start_ticks(pid) == began:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return
        if time.monotonic() > deadline:
            number = signal.SIGKILL
        time.sleep(0.1)


def take_down(folder: Path) -> None:
    """End jobs, then daemons in the reverse order of their start."""
    folder = folder.resolve()
    node = OneNode(folder)
    started = json.loads((folder / PROCESSES).read_text())
    if any(start_ticks(own["pid"]) == own["start_ticks"] for own in started if own["name"] == "slurmctld"):
        node.answers("scancel", "--quiet", "--full", f"--user={os.getuid()}")
        deadline = time.monotonic() + GRACE_SECONDS
        while node.answers("squeue", "--noheader", "--states=running,completing") and time.monotonic() < deadline:
            time.sleep(0.2)
    for pid in processes_of_jobs(folder):
        end(pid, start_ticks(pid))
    for own in reversed(started):
        end(own["pid"], own["start_ticks"])
    (folder / PROCESSES).unlink()


def main() -> None:
    """Take down what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="the folder that bring_up.py was given")
    folder = parser.parse_args().folder
    if not (folder / PROCESSES).exists():
        raise SystemExit(f"{folder / PROCESSES} is not there: nothing was started there, or it was taken down")
    take_down(folder)


if __name__ == "__main__":
    main()
