"""Each rule finds what it should in records with chosen figures, says its numbers, and is silent otherwise.

Here those about reading and about the measuring itself, and what holds of all; `test_findings_memory` and `test_findings_work`
have the others.
"""

import pytest

from somaray.report.findings import RULES, Records, find
from somaray.report.findings.scope import percent
from somaray.report.findings_document import findings_document, markdown
from somaray.settings import HvgSettings
from support.found import captured, found, quiet
from support.made_records import MIB, allocations, execution, manifest, process


def test_nothing_is_found_where_nothing_is() -> None:
    records = Records((manifest(),), (captured(chunk_reads=10),), (quiet(), quiet(replicate=2)), (allocations(),))
    assert find(records) == []
    assert "No rule found anything." in findings_document([], records.timings)


def test_no_records_no_findings() -> None:
    assert find(Records((), (), (), ())) == []


def test_many_runs_are_one_finding_with_their_range_and_the_worst() -> None:
    timings = [
        execution(10.0, replicate, chunk_size=size, chunk_reads=reads, vfs_read_bytes=3 * MIB)
        for size, reads in ((100, 30), (200, 5), (500, 4))
        for replicate in (1, 2)
    ]
    finding = found(timings=timings, rule="read-again")
    assert finding is not None
    assert finding.evidence[0] == "2 of 3 runs: times X was read: 2 to 3."
    assert finding.evidence[1] == (
        "`100_2x1x1`: 30 reads of 10 chunks, 3 of each: some 37,035 non-zeros read, 12,345 stored; 3 MiB read by TileDB "
        "in all, X on disk 1 MiB."
    )
    assert finding.runs == ("heart/soma-dask/100_2x1x1", "heart/soma-dask/500_2x1x1")
    assert "hvg.target_sum" in finding.remedy


def test_reading_again_is_held_against_one_pass() -> None:
    timings = (execution(12.0), execution(3.0, method="one-pass", chunk_reads=None))
    finding = found(timings=timings, rule="read-again")
    assert finding is not None
    assert finding.evidence[-1] == "Fastest of these, `100_2x1x1`: 12 s; fastest `one-pass`, `100_2x1x1`: 3 s."
    given = execution(12.0, hvg=HvgSettings(target_sum=1e4))
    finding = found(timings=(given,), rule="read-again")
    assert finding is not None
    assert "hvg.target_sum" not in finding.remedy


@pytest.mark.parametrize(
    ("read_bytes", "changes", "expected"),
    [
        (30 * MIB, {}, True),
        (12 * MIB, {}, False),
        (30 * MIB, {"stored_n_obs": 4000}, False),
        (30 * MIB, {"size_bytes": None}, False),
        (None, {}, False),
    ],
)
def test_bytes_tell_where_chunks_are_not_counted(read_bytes: int | None, changes: dict, expected: bool) -> None:
    whole = {"method": "in-memory", "chunk_size": None, "parallelism": None, "chunk_reads": None}
    finding = found(
        manifests=(manifest(**{"size_bytes": 10 * MIB, **changes}),),
        timings=(execution(vfs_read_bytes=read_bytes, read_bytes=99 * MIB, **whole),),
        rule="read-again",
    )
    assert (finding is not None) == expected


def test_a_spike_between_two_samples() -> None:
    spiky = (process("driver", 900 * MIB, sampled_rss_bytes=400 * MIB), process("worker-0", 200 * MIB))
    finding = found(timings=(execution(processes=spiky),), rule="missed-spike")
    assert finding is not None
    assert finding.evidence == (
        "`100_2x1x1`: driver of timing 1 had 900 MiB (VmHWM), its largest sample 400 MiB; the run's peak PSS is 500 MiB.",
    )
    smooth = (process("driver", 900 * MIB, sampled_rss_bytes=850 * MIB),)
    assert found(timings=(execution(processes=smooth),), rule="missed-spike") is None


def test_a_slow_capture_and_differing_replicates() -> None:
    captures, timings = (captured(30.0),), (execution(10.0), execution(14.0, replicate=2))
    finding = found(captures=captures, timings=timings, rule="slow-capture")
    assert finding is not None
    assert finding.evidence == ("`100_2x1x1`: 30 s under memray, 12 s without.",)
    finding = found(captures=captures, timings=timings, rule="replicates-differ")
    assert finding is not None
    assert finding.evidence == ("`100_2x1x1`: 10 s to 14 s over 2 replicates.",)


def test_failed_executions_alone_are_no_mistake_of_the_rules() -> None:
    failed = {"wall_seconds": None, "status": "failed", "reason": "no", "processes": (), "peak_pss_bytes": None}
    bare = execution(**failed, cpu_seconds=None, read_bytes=None, chunk_reads=None)
    assert find(Records((), (), (bare,), ())) == []


def test_the_document_groups_by_rule_and_says_each_remedy_once() -> None:
    timings = (execution(), execution(dataset="lung"), execution(3.0, dataset="lung", chunk_size=500))
    records = Records((manifest(), manifest("lung")), (), timings, ())
    findings = find(records)
    text = findings_document(findings, timings)
    assert text.count("## X read more than once") == 1
    assert text.count("normalize\\_total") + text.count("`normalize_total`") == 1
    assert "- **heart, soma-dask.** `100_2x1x1`: 30 reads of 10 chunks" in text
    assert "- **lung, soma-dask.** All 2 runs: times X was read: 3 to 15." in text
    assert text.index("## X read") < text.index("## Starting Dask") < text.index("## Measured with")
    assert [finding.rule for finding in findings] == ["read-again", "read-again", "slow-start"]


def test_text_is_escaped_and_code_is_not() -> None:
    assert markdown("a_b `c_d` <e>") == r"a\_b `c_d` \<e\>"


def test_every_rule_is_named_once() -> None:
    assert len({rule.__name__ for rule in RULES}) == len(RULES)


@pytest.mark.parametrize(
    ("share", "text"), [(0.47, "47 %"), (0, "0 %"), (0.000012, "0.0012 %"), (0.05, "5 %"), (1, "100 %")]
)
def test_shares(share: float, text: str) -> None:
    assert percent(share) == text
