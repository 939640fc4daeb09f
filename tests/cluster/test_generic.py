"""The template for other schedulers, as shipped: on a real Slurm, by its submit and status commands."""

import importlib.util

import pytest

from somaray.records import Execution, read_record
from support.workflow import TINY, OnScheduler

RUN = "results/hvg/tiny/in-memory/whole"


@pytest.fixture
def checkout(slurm, tmp_path) -> OnScheduler:
    if importlib.util.find_spec("snakemake_executor_plugin_cluster_generic") is None:
        pytest.skip("snakemake_executor_plugin_cluster_generic is not installed: uv sync --group cluster-generic")
    checkout = OnScheduler.make(tmp_path / "somaray", {**TINY, "methods": ["in-memory"], "limits": {"memory": "2GiB"}})
    checkout.variables = slurm
    return checkout


def test_jobs_are_submitted_and_their_logs_kept(checkout) -> None:
    often = ["--seconds-between-status-checks", "1"]
    checkout.run(f"{RUN}/timing/1.json", "--profile", "profiles/cluster-generic", "--nocolor", *often)
    assert read_record(checkout.folder / RUN / "timing/1.json", Execution).status == "ok"
    assert any((checkout.folder / "results/logs/jobs").glob("*.log"))
