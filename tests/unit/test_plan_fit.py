"""Constants from runs with planted costs: found where runs are many, kept where they are few, and never from runs that failed."""

from pathlib import Path

import msgspec
import pytest

from somaray.cli import main
from somaray.matrix import Run
from somaray.plan.constants import Constants, Fitted, figure_of, shipped_constants
from somaray.plan.finished import Case, cases_of
from somaray.plan.fit import fit, fit_to_results
from somaray.plan.size import Size, size_of
from somaray.plan.work import PEAK, SECONDS, TERMS, WORKER, Work, work_of
from somaray.records import read_record, write_record
from somaray.settings import DaskSettings, HvgSettings, ProfileSettings
from somaray.units import Parallelism
from support.made_records import MIB, PROVENANCE, execution, manifest, process

METHOD = "one-pass"
PLANTED = {
    "driver": 300e6,
    "worker": 150e6,
    "thread": 90e6,
    "cell": 200.0,
    "sum by gene": 64.0,
    "non-zero kept": 12.0,
}


def works() -> list[tuple[str, Work]]:
    sizes = {
        "a": Size(50_000, 20_000, 50_000_000, 28),
        "b": Size(900_000, 3_000, 30_000_000, 28),
        "c": Size(20_000, 60_000, 40_000_000, 28),
    }
    layouts = [Parallelism(0, 1, 1), Parallelism(1, 3, 1), Parallelism(4, 1, 1), Parallelism(2, 2, 1)]
    return [
        (name, work_of(Run(name, METHOD, chunk, layout), size, HvgSettings()))
        for name, size in sizes.items()
        for chunk in (1_000, 20_000)
        for layout in layouts
    ]


def cost(work: Work, factor: float = 1.0) -> float:
    return factor * figure_of(work, Fitted(terms=PLANTED, margin=1.0, n_runs=1), PEAK)


def cases(factor: float = 1.0) -> list[Case]:
    return [Case(name, work, {PEAK: cost(work, factor)}) for name, work in works()]


def peak(constants: Constants, work: Work) -> float:
    return figure_of(work, constants.methods[METHOD][PEAK], PEAK)


def test_planted_costs_are_found() -> None:
    constants = fit(cases(), PROVENANCE)
    assert constants.methods[METHOD][PEAK].n_runs == len(works())
    assert not constants.own_runs
    for _, work in works():
        assert peak(constants, work) == pytest.approx(cost(work), rel=0.12)


def test_most_runs_stay_below_when_they_scatter() -> None:
    """Every third run takes 15 % more than its kind: the prediction covers it, not the mean."""
    scattered = [
        Case(case.dataset, case.work, {PEAK: case.measured[PEAK] * (1.15 if index % 3 == 0 else 1.0)})
        for index, case in enumerate(cases())
    ]
    constants = fit(scattered, PROVENANCE)
    held = [case.measured[PEAK] <= peak(constants, case.work) * 1.0001 for case in scattered]
    assert sum(held) >= 0.95 * len(held)
    assert all(peak(constants, case.work) < 1.4 * case.measured[PEAK] for case in scattered)


def test_what_no_run_is_large_enough_to_show_is_not_free() -> None:
    """Runs that take a tenth of all that is expected: each term falls to half, and a host's own runs take it further."""
    cheap = {name: term.expected / 10 for name, term in TERMS[METHOD][PEAK].items()}
    seen = [
        Case(name, work, {PEAK: figure_of(work, Fitted(terms=cheap, margin=1.0, n_runs=1), PEAK)})
        for name, work in works()
    ]
    shipped = fit(seen, PROVENANCE)
    found = shipped.methods[METHOD][PEAK].terms
    assert found == pytest.approx({name: term.expected / 2 for name, term in TERMS[METHOD][PEAK].items()}, rel=1e-3)
    own = fit(seen, PROVENANCE, shipped)
    assert all(peak(own, case.work) == pytest.approx(case.measured[PEAK], rel=0.1) for case in seen)


def test_own_runs_move_the_shipped_constants_by_their_number() -> None:
    """On a host where all takes half as much again: one run moves little, all move all the way, other methods nothing."""
    shipped = fit(cases(), PROVENANCE).methods[METHOD]
    prior = Constants(methods={METHOD: shipped, "census": shipped_constants().methods["census"]}, provenance=PROVENANCE)
    dearer = cases(1.5)
    few, many = (fit(dearer[:n], PROVENANCE, prior) for n in (1, len(dearer)))
    assert few.own_runs
    other = works()[-1][1]
    assert peak(prior, other) <= peak(few, other) <= peak(many, other) * 1.001
    assert all(peak(many, case.work) >= 0.99 * case.measured[PEAK] for case in dearer)
    assert few.methods["census"][PEAK].terms == prior.methods["census"][PEAK].terms
    assert (few.methods["census"][PEAK].n_runs, many.methods[METHOD][PEAK].n_runs) == (0, len(dearer))


def test_runs_as_expected_move_nothing() -> None:
    prior = fit(cases(), PROVENANCE)
    same = [Case(name, work, {PEAK: peak(prior, work)}) for name, work in works()]
    assert fit(same, PROVENANCE, prior).methods[METHOD][PEAK].terms == pytest.approx(prior.methods[METHOD][PEAK].terms)


def test_a_case_is_the_largest_memory_and_the_least_time_of_good_timings() -> None:
    own = manifest()
    timings = [
        execution(10.0, 1),
        execution(14.0, 2, peak_pss_bytes=700 * MIB),
        execution(11.0, 3, processes=(process("driver", 900 * MIB), process("worker-0", 260 * MIB))),
        execution(None, 4, status="out of memory", peak_pss_bytes=9000 * MIB),
        execution(99.0, None, profile=ProfileSettings(), peak_pss_bytes=9000 * MIB),
        execution(50.0, 1, dataset="of unknown size"),
    ]
    (case,) = cases_of(timings, {"heart": size_of(own), "of unknown size": None})
    assert case.measured == {PEAK: 700 * MIB, WORKER: 260 * MIB, SECONDS: 10.0}
    assert (case.work.size, case.work.cores, case.work.processes) == (size_of(own), 4, 2)


def test_runs_with_workers_elsewhere_tell_nothing_of_this_host() -> None:
    here = execution(10.0, 1)
    there = msgspec.structs.replace(execution(5.0, 2), dask=DaskSettings(cluster="slurm"))
    (case,) = cases_of([here, there], {"heart": size_of(manifest())})
    assert case.measured[SECONDS] == 10.0


def test_time_over_the_net_tells_nothing_of_a_processor() -> None:
    remote = size_of(manifest(uri="s3://bucket/x"))
    soma, file = cases_of([execution(10.0, 1), execution(10.0, 1, method="zarr-dask")], {"heart": remote})
    assert set(soma.measured) == {PEAK, WORKER}
    assert set(file.measured) == {PEAK, WORKER, SECONDS}


def results(folder: Path, host: str) -> Path:
    write_record(folder / "datasets/heart/manifest.json", manifest())
    provenance = PROVENANCE.__class__(
        **{
            **{name: getattr(PROVENANCE, name) for name in PROVENANCE.__struct_fields__},
            "host": PROVENANCE.host.__class__(
                **{
                    **{name: getattr(PROVENANCE.host, name) for name in PROVENANCE.host.__struct_fields__},
                    "name": host,
                }
            ),
        }
    )
    write_record(folder / "hvg/heart/soma-dask/100_2x1x1/timing/1.json", execution(10.0, 1, provenance=provenance))
    return folder


def test_constants_are_fitted_to_the_host_s_own_results(tmp_path) -> None:
    folder = results(tmp_path / "results", "here")
    assert fit_to_results(folder, "elsewhere", shipped_constants()) is None
    constants = fit_to_results(folder, "here", shipped_constants())
    assert {name for name, of in constants.methods.items() if of[PEAK].n_runs} == {"soma-dask"}


def test_the_command_fits_prints_and_keeps_the_constants(tmp_path, monkeypatch, capsys, root) -> None:
    from somaray.provenance import host

    folder = results(tmp_path / "results", host().name)
    monkeypatch.chdir(root)
    assert main(["plan", "--results", str(folder)]) == 0
    assert "Constants: those shipped, fitted from " in capsys.readouterr().out
    assert main(["plan", "--fit", "--results", str(folder)]) == 0
    printed = capsys.readouterr().out
    assert "soma-dask from 1 run; those shipped for " in printed
    assert read_record(folder / "plan/constants.json", Constants).own_runs
    assert main(["plan", "--fit", "--results", str(tmp_path)]) == 2
    assert "no finished run of this host" in capsys.readouterr().err
