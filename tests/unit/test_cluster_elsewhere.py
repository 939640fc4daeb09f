"""Where a scheduler may listen, what a cluster must be, and how samples of several hosts become one timeline."""

import json
import socket
from pathlib import Path
from types import SimpleNamespace

import pytest

from somaray import cluster_slurm
from somaray.cluster_elsewhere import Found, check_found, check_workers
from somaray.cluster_slurm import listening_interface, slurm_time
from somaray.errors import SomarayError
from somaray.measure.assemble import process_records
from somaray.measure.captures import SAMPLES, process_name, read_samples
from somaray.measure.process_tree import ProcessSample
from somaray.measure.timeline import Timeline
from somaray.measure.vfs import NOT_COUNTED, VfsCounts
from somaray.settings import DaskSettings, SlurmSettings
from somaray.units import parse_parallelism


def have(monkeypatch: pytest.MonkeyPatch, **addresses: str) -> None:
    found = {name: [SimpleNamespace(family=socket.AF_INET, address=own)] for name, own in addresses.items()}
    monkeypatch.setattr(cluster_slurm.psutil, "net_if_addrs", lambda: found)


def test_the_default_route_comes_before_a_bridge_of_containers(monkeypatch) -> None:
    monkeypatch.setattr("distributed.utils.get_ip", lambda: "10.1.2.3")
    have(monkeypatch, docker0="172.17.0.1", eth0="10.1.2.3", lo="127.0.0.1")
    assert listening_interface(DaskSettings()) == "eth0"


def test_a_scheduler_listens_on_a_private_address_and_on_no_public_one_by_itself(monkeypatch) -> None:
    have(monkeypatch, lo="127.0.0.1", eth0="8.8.8.8", ib0="10.1.2.3")
    assert listening_interface(DaskSettings()) == "ib0"
    have(monkeypatch, lo="127.0.0.1", eth0="8.8.8.8")
    with pytest.raises(SomarayError, match="does not listen on a public one by itself.*eth0 \\(8.8.8.8\\), lo"):
        listening_interface(DaskSettings())
    assert listening_interface(DaskSettings(slurm=SlurmSettings(interface="eth0"))) == "eth0"
    with pytest.raises(SomarayError, match="'eth7' has no IPv4 address"):
        listening_interface(DaskSettings(slurm=SlurmSettings(interface="eth7")))
    tls = {"distributed.comm.tls.scheduler.cert": "/etc/site/cert.pem"}
    assert listening_interface(DaskSettings(config=tls)) is None


@pytest.mark.parametrize(("threads", "said"), [([], "0 workers: "), ([2, 2, 2], "3 workers"), ([2, 4], "2, 4 threads")])
def test_a_cluster_must_be_what_the_run_says(threads, said) -> None:
    with pytest.raises(SomarayError, match=f"tcp://a:1 has .*{said}.*expected 2 with 2 each, as 2x2x1 says"):
        check_workers("tcp://a:1", {str(number): own for number, own in enumerate(threads)}, parse_parallelism("2x2x1"))
    check_workers("tcp://a:1", {"x": 2, "y": 2}, parse_parallelism("2x2x1"))


@pytest.mark.parametrize(
    ("lacks", "said"),
    [
        ({"imports": False}, "cannot import somaray"),
        ({"python": "3.9"}, "runs Python 3.9"),
        ({"sees": False}, "does not see /results"),
    ],
)
def test_who_cannot_take_part_is_named(lacks, said) -> None:
    able = Found(host="node1", python="3.12", imports=True, sees=True)
    check_found("tcp://a:1", {"worker b": able}, Path("/results"))
    with pytest.raises(SomarayError, match=f"tcp://a:1: worker b on node1 {said}"):
        check_found("tcp://a:1", {"worker b": able._replace(**lacks)}, Path("/results"))


def test_times_are_whole_minutes_for_slurm() -> None:
    assert [slurm_time(seconds) for seconds in (1, 60, 5401, 100 * 3600)] == [
        "0:01:00",
        "0:01:00",
        "1:31:00",
        "100:00:00",
    ]


def test_a_worker_that_nobody_named_makes_a_file_name() -> None:
    assert (process_name(3), process_name("tcp://10.0.0.1:99")) == ("worker-3", "worker-tcp-10.0.0.1-99")


def seen(pss_bytes: int, pid: int = 7, host: str = "node1", peak_bytes: int = 0) -> ProcessSample:
    return ProcessSample(pid, pss_bytes, pss_bytes, peak_bytes, 0.0, None, None, host)


def test_samples_of_all_hosts_are_summed_each_as_it_last_was(tmp_path) -> None:
    own = Timeline()
    for at_seconds in (10.0, 10.2, 10.4, 10.6, 10.8, 11.0):
        own.add(at_seconds, [seen(100, host="here")])
    # The same number on another host is another process. This one was lost after its second sample.
    folder = tmp_path / SAMPLES
    folder.mkdir()
    lines = [{"at_seconds": 1010.1 + step / 5, "processes": [seen(size)]} for step, size in enumerate((20, 30))]
    (folder / "node1-7.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines) + '{"at_sec')
    joined = own.beside(read_samples(tmp_path, epoch_seconds=1000.0))
    sums: dict[float, int] = {}
    for at_seconds, sample in joined.rows:
        sums[at_seconds] = sums.get(at_seconds, 0) + sample.pss_bytes
    assert sums == {10.0: 100, 10.2: 120, 10.4: 130, 10.6: 100, 10.8: 100, 11.0: 100}
    assert joined.peak_pss() == (130, 10.4)
    assert {process: peaks.pss_bytes for process, peaks in joined.peaks().items()} == {
        ("here", 7): 100,
        ("node1", 7): 30,
    }


def test_reads_of_earlier_work_are_not_the_runs() -> None:
    assert VfsCounts(50, 9000).since(VfsCounts(20, 8000)) == VfsCounts(30, 1000)
    # A context that is gone took its counts along: how many were the run's nobody knows.
    assert VfsCounts(50, 7000).since(VfsCounts(20, 8000)) == NOT_COUNTED
    assert VfsCounts(50, 9000).since(NOT_COUNTED) == NOT_COUNTED


@pytest.mark.parametrize(("mark_bytes", "peak_bytes"), [(900, 700), (1000, 1000)], ids=["of before", "of the run"])
def test_a_high_water_mark_of_earlier_work_is_not_the_runs(mark_bytes, peak_bytes) -> None:
    own = {"name": "worker-0", "role": "worker", "pid": 7, "host": "node1", "capture": None, "lives": "there before"}
    own |= {"vfs_reads": None, "vfs_read_bytes": None, "start": seen(500, peak_bytes=900)}
    own |= {"end": seen(600, peak_bytes=mark_bytes)}
    (record,) = process_records([own], Timeline([(0.0, seen(700))]), None)
    assert (record.peak_rss_bytes, record.host) == (peak_bytes, "node1")
