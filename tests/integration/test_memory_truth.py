"""The sampler's summed PSS against what is known to be touched, the kernel's mark of one process, and its control group's."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from somaray.measure.timeline import Timeline

MIB = 2**20
PARENT_BYTES = 320 * MIB
CHILD_BYTES = 48 * MIB
N_CHILDREN = 2

# Children share what their parent touched and touch more of their own; `fork` copies nothing that is only read.
PROGRAM = """
import mmap, os, sys, time
parent_bytes, child_bytes, n_children = map(int, sys.argv[1:])

def touch(n_bytes):
    block = mmap.mmap(-1, n_bytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    for start in range(0, n_bytes, 4096):
        block[start] = 1
    return block

held = touch(parent_bytes)
children = []
for _ in range(n_children):
    pid = os.fork()
    if pid == 0:
        own = touch(child_bytes)
        time.sleep(1.5)
        os._exit(0)
    children.append(pid)
time.sleep(1.5)
for pid in children:
    os.waitpid(pid, 0)
"""


def sampled(n_children: int, group: Path | None = None) -> Timeline:
    """Run the program as a session of its own, in a control group if there is one, and sample it to its end."""
    join = f"echo $$ > '{group}/cgroup.procs' && " if group else ""
    sizes = map(str, (PARENT_BYTES, CHILD_BYTES, n_children))
    program = subprocess.Popen(
        ["sh", "-c", join + 'exec "$0" -S -c "$@"', sys.executable, PROGRAM, *sizes], start_new_session=True
    )
    command = [
        sys.executable,
        "-m",
        "somaray.measure.sampler",
        "--session",
        str(program.pid),
        "--interval-seconds",
        "0.2",
    ]
    timeline = Timeline()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as sampler:
        assert sampler.stdout is not None
        timeline.read(sampler.stdout)
    assert program.wait() == 0
    return timeline


@pytest.fixture
def control_group() -> Iterator[Path]:
    """A control group below this process's own that counts memory."""
    membership = [
        line.partition("::")[2] for line in Path("/proc/self/cgroup").read_text().splitlines() if "0::" in line
    ]
    mounts = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    roots = [fields[1] for fields in mounts if fields[2] == "cgroup2"]
    if not membership or not roots:
        pytest.skip("no control groups of version 2 on this host")
    own = Path(roots[0]) / membership[0].lstrip("/")
    enabled = own / "cgroup.subtree_control"
    if not enabled.is_file() or "memory" not in enabled.read_text().split():
        pytest.skip(f"{own} counts no memory for groups below it")
    group = own / "somaray-test"
    try:
        group.mkdir()
    except OSError as error:
        pytest.skip(f"no control group may be made: {error}")
    try:
        if not (group / "memory.peak").is_file():
            pytest.skip("this kernel keeps no memory.peak")
        yield group
    finally:
        group.rmdir()


def test_pss_of_one_process_is_the_kernels_mark() -> None:
    timeline = sampled(n_children=0)
    peak_bytes, _ = timeline.peak_pss()
    (last,) = timeline.last().values()
    assert peak_bytes is not None
    assert peak_bytes == pytest.approx(last.peak_rss_bytes, rel=0.05)
    assert peak_bytes == pytest.approx(PARENT_BYTES, rel=0.05)


def test_summed_pss_counts_shared_pages_once() -> None:
    timeline = sampled(N_CHILDREN)
    peak_bytes, _ = timeline.peak_pss()
    known_bytes = PARENT_BYTES + N_CHILDREN * CHILD_BYTES
    assert peak_bytes == pytest.approx(known_bytes, rel=0.05)
    # Each process's own mark counts the shared pages again.
    assert sum(sample.peak_rss_bytes for sample in timeline.last().values()) > 2 * known_bytes


@pytest.mark.may_skip("most hosts count no memory below a process's own control group")
def test_summed_pss_is_the_control_groups_peak(control_group: Path) -> None:
    timeline = sampled(N_CHILDREN, control_group)
    peak_bytes, _ = timeline.peak_pss()
    assert peak_bytes == pytest.approx(int((control_group / "memory.peak").read_text()), rel=0.05)
