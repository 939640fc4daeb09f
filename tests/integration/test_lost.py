"""An execution whose supervisor is ended with it leaves a note, and a second try writes its record."""

import io
import json
import os
import signal
import subprocess
import sys

import pytest

from somaray.beginnings import beginning_path, left_behind
from somaray.measure.lost import lost_execution, noted
from support.orders import order_for


def test_record_of_a_lost_execution_says_why_and_has_no_numbers(tmp_path) -> None:
    order = order_for(tmp_path, "support.known_methods", None, "1x1x1", profiled=True)
    note = beginning_path(tmp_path, "capture")
    with noted(note):
        pass
    execution = lost_execution(order, left_behind(note), io.StringIO())
    assert execution.status == "killed"
    assert execution.reason.endswith("was ended")
    assert (execution.wall_seconds, execution.peak_pss_bytes, execution.processes) == (None, None, ())
    assert order.memory_path.exists()
    assert os.path.isdir(order.job.capture_dir)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_note_stays_and_names_the_job(tmp_path, number) -> None:
    code = (
        "import sys, time, pathlib\n"
        "from somaray.measure.lost import noted\n"
        "with noted(pathlib.Path(sys.argv[1])):\n"
        "    print('begun', flush=True)\n"
        "    time.sleep(600)\n"
    )
    note = beginning_path(tmp_path, "timing-1")
    running = subprocess.Popen(
        [sys.executable, "-c", code, note],
        env={**os.environ, "SLURM_JOB_ID": "77"},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert running.stdout.readline() == "begun\n"
    running.send_signal(number)
    running.communicate()
    assert running.returncode == (143 if number == signal.SIGTERM else -9)
    assert str(left_behind(note).job) == "Slurm job 77"
    assert json.loads(note.read_text())["host"]
