# Settings and the few functions that every other rules file needs.
import os
import re
import sys
from pathlib import Path

# The package lies beside the scripts; it is found even where it is not installed.
sys.path.insert(0, str(Path(workflow.basedir) / "scripts"))

import msgspec
from snakemake.exceptions import WorkflowError

from somaray import stages
from somaray.batch import allocated_mib, current_job, end, largest_node_mib, submitted_from
from somaray.beginnings import beginning_path, larger_job, left_behind
from somaray.config import TABLE_OF_RUNS, load_settings
from somaray.datasets.prepare import check_datasets
from somaray.errors import SomarayError
from somaray.failures import failures
from somaray.report.figures.names import HEAT_MAPS, figure_files, matrix_figures, run_figures
from somaray.matrix import Run, run_from_path
from somaray.measure.reconsider import reconsidered
from somaray.plan.constants import constants_of
from somaray.registry import METHODS
from somaray.settings import LOCAL
from somaray.variants import keep_last_variants
from somaray.submission import MIB, WHOLE_CORES, cores_of, planned_request

# Not `workflow.cores`, which refuses `--report` and `--summary` without a number of cores.
ALL_CORES = workflow.resource_settings.cores or 1

# How jobs, to which Snakemake says nothing of it, know how often they may be started again.
RETRIES = "SOMARAY_RETRIES"

RUN_DIR = "results/hvg/{dataset}/{method}/{setting}"


def config_files():
    """Configuration files in the order they were merged: those of the Snakefile, then those of the command line."""
    added = [str(path) for path in workflow.overwrite_configfiles]
    return [path for path in map(str, workflow.configfiles) if path not in added] + added


try:
    keep_last_variants(config, config_files())
    SETTINGS = load_settings(config, config_files())
    check_datasets(SETTINGS, config_files())
    # What jobs ask for follows from them; a file that is of no use is told now.
    constants_of("results")
except SomarayError as error:
    raise WorkflowError(str(error)) from None

EXECUTIONS = ["capture", *map(str, range(1, SETTINGS.replicates + 1))]
TIMINGS = [f"timing/{replicate}" for replicate in range(1, SETTINGS.replicates + 1)]


wildcard_constraints:
    dataset="[^/]+",
    method="[^/]+",
    setting="[^/]+",
    replicate="[0-9]+",


def names_of(*kinds):
    """Regular expression of the datasets of some kinds; one that matches nothing if there are none."""
    names = [name for name, entry in SETTINGS.catalogue.items() if entry["kind"] in kinds]
    return "|".join(map(re.escape, names)) or "(?!)"


def every_run(*files):
    """Files below the directory of every run."""
    return [f"results/hvg/{run.path}/{file}" for run in SETTINGS.runs for file in files]


def run_of(wildcards):
    """The run that a rule's wildcards name."""
    return run_from_path(f"{wildcards.dataset}/{wildcards.method}/{wildcards.setting}")


def exported(wildcards):
    """The AnnData file that a run's method reads; nothing for a method that reads the experiment."""
    export = METHODS[wildcards.method].export
    return f"results/datasets/{wildcards.dataset}/x.{export}" if export else []


def added_config_files():
    """Configuration files of the command line, as a command that runs this again must name them."""
    return [str(path) for path in workflow.overwrite_configfiles]


def caption_of(figure):
    """Which of the captions in `report/` a figure of the whole matrix has."""
    return "heat_map" if figure in HEAT_MAPS else "scaling" if figure.startswith("scaling") else "trade_off"


def as_params(*records):
    """Records as plain values, which Snakemake can keep and compare, whatever the order of keys in the configuration."""
    return [msgspec.to_builtins(record, order="sorted") for record in records]


def submitted():
    """Whether jobs go to a scheduler, seen by the one that submits or from inside a job. Known only after the rules are read."""
    return workflow.non_local_exec or (not workflow.is_main_process and current_job() is not None)


def whole_host(wildcards):
    """Threads of a job beside which Snakemake shall start nothing on this machine; a few where jobs are submitted."""
    return WHOLE_CORES if submitted() else ALL_CORES


def cores_for_run(wildcards):
    """Threads of a measured job: all there are on one machine, what the run can use where jobs are submitted."""
    run = run_of(wildcards)
    return cores_of(run, SETTINGS.of(run).dask.cluster != LOCAL) if submitted() else ALL_CORES


def retries():
    """How often this invocation may start a failed job again, as its jobs are told too. Known only after the rules are read."""
    return workflow.execution_settings.retries if workflow.is_main_process else int(os.environ.get(RETRIES, 0))


def left_to_profile(name, wildcards, **given):
    """A resource as the profile's `default-resources` have it; None if they do not."""
    defaults = workflow.resource_settings.default_resources
    if defaults is None or name not in defaults.keys():
        return None
    return defaults.get(name).evaluate(wildcards, async_run=workflow.async_run, **given).value


def most_mib(wildcards, **given):
    """Memory of the largest node that jobs may get; None where there are no nodes or nobody tells."""
    return largest_node_mib(left_to_profile("slurm_partition", wildcards, **given)) if submitted() else None


def requested(name, run, wildcards, **given):
    """A resource of the job of a run, as planned; the profile's where nothing is known.

    The one place that knows what to ask for: `somaray.submission`. It is asked anew when the job is about to start, with its
    dataset prepared.
    """
    asked = planned_request(SETTINGS, run, "results", most_mib(wildcards, **given)).resources().get(name)
    # Nothing is asked for by 0, on this machine too.
    return (left_to_profile(name, wildcards, **given) or 0) if asked is None else asked


def memory_for(execution):
    """Memory of the job of an execution; more on a second try, if the first ended for want of it."""

    def memory(wildcards, input, attempt, threads, rulename):
        if not workflow.is_main_process and allocated_mib() is not None:
            return allocated_mib()
        given = {"input": input, "attempt": 1, "threads": threads, "rulename": rulename}
        if attempt > 1:
            note = beginning_path(RUN_DIR.format(**wildcards), execution.format(**wildcards))
            larger = larger_job(left_behind(note), attempt, retries())
            if larger is not None:
                larger_mib = larger.retried_memory_bytes // MIB
                return min(larger_mib, most_mib(wildcards, **given) or larger_mib)
        # Tries beyond that only write a record.
        return requested("mem_mb", run_of(wildcards), wildcards, **given)

    return memory


def runtime_for(wildcards, input, attempt, threads, rulename):
    """Minutes of a measured job."""
    given = {"input": input, "attempt": attempt, "threads": threads, "rulename": rulename}
    return requested("runtime", run_of(wildcards), wildcards, **given)


def resources_of(execution):
    """All that a job which measures asks for or has to know."""
    return {
        "mem_mb": memory_for(execution),
        "runtime": runtime_for,
        # How often this invocation has started the job and may do so again; see somaray.beginnings.
        "tries": lambda wildcards, attempt: attempt,
        "retries": lambda wildcards: retries(),
    }


def memory_of_reference(wildcards, input, attempt, threads, rulename):
    """Memory of the job of a reference, as of a run in memory."""
    given = {"input": input, "attempt": attempt, "threads": threads, "rulename": rulename}
    return requested("mem_mb", Run(wildcards.dataset, "in-memory"), wildcards, **given)


def runtime_of_reference(wildcards, input, attempt, threads, rulename):
    """Minutes of the job of a reference, which may have to execute twice: in memory, and then in one pass."""
    given = {"input": input, "attempt": attempt, "threads": threads, "rulename": rulename}
    return 2 * requested("runtime", Run(wildcards.dataset, "in-memory"), wildcards, **given)


# This invocation has the folder's lock, so what was submitted from here is a dead one's: its jobs would write the same files.
onstart:
    os.environ[RETRIES] = str(retries())
    if workflow.is_main_process and submitted():
        for job in end(*submitted_from(Path.cwd())):
            print(f"somaray: ended {job}, left by an earlier invocation", file=sys.stderr, flush=True)
