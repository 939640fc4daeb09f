# Settings and the few functions that every other rules file needs.
import re
import sys
from pathlib import Path

# The package lies beside the scripts; it is found even where it is not installed.
sys.path.insert(0, str(Path(workflow.basedir) / "scripts"))

import msgspec
from snakemake.exceptions import WorkflowError

from somaray import stages
from somaray.batch import current_job, largest_node_mib
from somaray.config import load_settings
from somaray.datasets.prepare import check_datasets
from somaray.errors import SomarayError
from somaray.failures import failures
from somaray.report.figures.names import HEAT_MAPS, figure_files, matrix_figures, run_figures
from somaray.matrix import run_from_path
from somaray.measure.reconsider import reconsidered
from somaray.plan.constants import constants_of
from somaray.registry import METHODS
from somaray.variants import keep_last_variants
from somaray.submission import RESOURCES, WHOLE_CORES, cores_of, planned_request

# Not `workflow.cores`, which refuses `--report` and `--summary` without a number of cores.
ALL_CORES = workflow.resource_settings.cores or 1

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
    return cores_of(run_of(wildcards)) if submitted() else ALL_CORES


def profile_default(name):
    """What the profile's `default-resources` say of a resource, as text or number; None if they do not."""
    default = (workflow.resource_settings.default_resources or {}).get(name)
    return getattr(default, "raw", default)


def requested(name):
    """A resource of a measured job by its name, as planned; the profile's where nothing is known.

    The one place that knows what to ask for: `somaray.submission`. It is asked anew when the job is about to start, with its
    dataset prepared.
    """

    def ask(wildcards):
        most_mib = largest_node_mib(profile_default("slurm_partition")) if submitted() else None
        asked = planned_request(SETTINGS, run_of(wildcards), "results", most_mib).resources().get(name)
        if asked is None and str(profile_default(name)).isdecimal():
            return int(profile_default(name))
        return asked

    return ask


REQUESTED = {name: requested(name) for name in RESOURCES}
# How often this invocation has started the job; see somaray.measure.lost.
REQUESTED["tries"] = lambda wildcards, attempt: attempt
