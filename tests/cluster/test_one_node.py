"""The scripts that bring up a Slurm and take it down: jobs run in between, and nothing but what was started ends."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cluster.bring_up import variables
from cluster.conftest import script, skip_without


def names_of(folder: Path) -> list[str]:
    """Daemons that serve from `folder`."""
    found = []
    for entry in os.listdir("/proc"):
        try:
            command = Path(f"/proc/{entry}/cmdline").read_bytes() if entry.isdigit() else b""
            environment = Path(f"/proc/{entry}/environ").read_bytes() if command else b""
        except OSError:
            continue
        if str(folder / "slurm.conf").encode() in environment:
            found.append(Path(command.partition(b"\0")[0].decode()).name)
    return sorted(found)


@pytest.mark.parametrize("accounting", [False, True], ids=["plain", "accounting"])
def test_jobs_run_and_nothing_is_left(accounting, short_folder, tmp_path) -> None:
    skip_without(accounting)
    folder = short_folder / f"node-{accounting}"
    # Looks like something of Slurm's, and is nobody's business.
    bystander = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)", "slurmd", str(folder)])
    script("bring_up.py", folder, *(["--accounting"] if accounting else []))
    environment = {**os.environ, **variables(folder)}

    def ask(*command: str) -> str:
        done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    try:
        assert ask("srun", "--ntasks=1", "echo", "done") == "done"
        # One that ignores SIGTERM and would outlive its Slurm.
        left = ask("sbatch", "--parsable", "--output=out", "--wrap", "trap '' TERM; echo up; sleep 600; sleep 600")
        deadline = time.monotonic() + 30
        while not (tmp_path / "out").exists() or "up" not in (tmp_path / "out").read_text():
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert ask("squeue", "--noheader", "--format=%T", f"--jobs={left}") == "RUNNING"
        if accounting:
            while "COMPLETED" not in ask("sacct", "--noheader", "--allocations", "--format=State"):
                assert time.monotonic() < deadline
                time.sleep(0.5)
    finally:
        script("take_down.py", folder)
    assert names_of(folder) == []
    assert bystander.poll() is None, "a process of somebody else was ended"
    bystander.kill()
    bystander.wait()


def test_a_path_too_long_for_sockets_is_refused(tmp_path) -> None:
    skip_without()
    folder = tmp_path / ("long" * 20)
    command = [sys.executable, str(Path(__file__).parent / "bring_up.py"), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "too long for sockets" in done.stderr
    assert not folder.exists()
