"""The sampler's summed PSS against what is known to be touched, the kernel's mark of one process, and its control group's."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from somaray.measure.timeline import Timeline

MIB = 2**20
ALONE_BYTES = 320 * MIB
# Little of it is shared: a sample that falls into a fork sees the parent before it and the child after it.
PARENT_BYTES, CHILD_BYTES, N_CHILDREN = 32 * MIB, 192 * MIB, 2

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
    sizes = map(str, (PARENT_BYTES if n_children else ALONE_BYTES, CHILD_BYTES, n_children))
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


def own_groups() -> Iterator[tuple[Path, str]]:
    """The control groups this process is in that may count memory, and the file with their peak: version 2, then 1."""
    groups = [line.split(":", 2) for line in Path("/proc/self/cgroup").read_text().splitlines()]
    mounts = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    for kind, peak in (("cgroup2", "memory.peak"), ("cgroup", "memory.max_usage_in_bytes")):
        for fields in mounts:
            if fields[2] != kind or (kind == "cgroup" and "memory" not in fields[3].split(",")):
                continue
            for _, controllers, path in groups:
                if controllers == ("" if kind == "cgroup2" else "memory"):
                    yield Path(fields[1]) / path.lstrip("/"), peak
            yield Path(fields[1]), peak


@pytest.fixture
def control_group() -> Iterator[tuple[Path, str]]:
    """A control group that counts memory, made below one that may have children, and the name of the file with its peak."""
    reasons = ["no control groups on this host"]
    for parent, peak in own_groups():
        group = parent / "somaray-test"
        try:
            group.mkdir()
        except OSError as error:
            reasons.append(str(error))
            continue
        try:
            if (group / peak).is_file():
                yield group, peak
                return
            reasons.append(f"{parent} counts no memory for groups below it")
        finally:
            group.rmdir()
    pytest.skip(reasons[-1])


def test_pss_of_one_process_is_the_kernels_mark() -> None:
    timeline = sampled(n_children=0)
    peak_bytes, _ = timeline.peak_pss()
    (last,) = timeline.last().values()
    assert peak_bytes is not None
    assert peak_bytes == pytest.approx(last.peak_rss_bytes, rel=0.05)
    assert peak_bytes == pytest.approx(ALONE_BYTES, rel=0.05)


def test_summed_pss_counts_shared_pages_once() -> None:
    timeline = sampled(N_CHILDREN)
    peak_bytes, _ = timeline.peak_pss()
    known_bytes = PARENT_BYTES + N_CHILDREN * CHILD_BYTES
    assert peak_bytes == pytest.approx(known_bytes, rel=0.05)
    # Each process's own mark counts the shared pages again.
    marks_bytes = sum(sample.peak_rss_bytes for sample in timeline.last().values())
    assert marks_bytes > known_bytes + N_CHILDREN * PARENT_BYTES


@pytest.mark.may_skip("most hosts count no memory below a process's own control group")
def test_summed_pss_is_the_control_groups_peak(control_group: tuple[Path, str]) -> None:
    group, peak = control_group
    timeline = sampled(N_CHILDREN, group)
    peak_bytes, _ = timeline.peak_pss()
    assert peak_bytes == pytest.approx(int((group / peak).read_text()), rel=0.05)
