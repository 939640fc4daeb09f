"""`somaray plan`: what each run of the configuration is expected to take, before it runs."""

import argparse
from pathlib import Path
from typing import Any

from somaray.commands.output import write_output


def add_plan(commands: Any) -> None:
    """`somaray plan`: memory and time of every run, predicted."""
    parser = commands.add_parser(
        "plan",
        help="predict memory and time of every run of the configuration",
        description="Predict the peak of the summed PSS, the largest worker and the seconds of every run, as Markdown, and say "
        "which may not fit into this machine or the budget; all are tried all the same. The constants are those shipped, or "
        "this host's own where --fit has made them.",
    )
    parser.add_argument(
        "--configfile",
        metavar="FILE",
        nargs="+",
        default=[],
        help="laid over config/config.yaml, as for snakemake",
    )
    parser.add_argument("--results", metavar="DIR", type=Path, default=Path("results"), help="default: %(default)s")
    parser.add_argument(
        "--csv",
        metavar="FILE",
        type=Path,
        help="write the figures here as CSV too, with the cores, memory and minutes that each run's job asks a scheduler for",
    )
    parser.add_argument(
        "--fit",
        action="store_true",
        help="fit the constants to the finished runs below --results first, from those shipped on; they are kept in "
        "plan/constants.json there, and used from then on, also for what jobs ask a scheduler for",
    )
    parser.set_defaults(run=_plan)


def _plan(arguments: argparse.Namespace) -> None:
    from somaray.config_files import load_files
    from somaray.datasets.prepare import check_datasets
    from somaray.measure.budget import resolve_limits, usable_memory_bytes
    from somaray.plan.constants import constants_of
    from somaray.plan.planned import plan_runs
    from somaray.provenance import host
    from somaray.report.plan_document import plan_csv, plan_markdown

    settings, files = load_files(arguments.configfile)
    check_datasets(settings, files)
    if arguments.fit:
        _fit(arguments.results)
    constants = constants_of(arguments.results)
    limits = resolve_limits(settings.limits)
    planned = plan_runs(
        settings, arguments.results, constants, host().usable_cores, limits, machine_bytes=usable_memory_bytes()
    )
    if arguments.csv is not None:
        write_output(arguments.csv, plan_csv(planned, settings.limits))
    print(plan_markdown(planned, constants, settings.replicates, settings.hvg.batch_key), end="")


def _fit(results_dir: Path) -> None:
    from somaray.errors import SomarayError
    from somaray.plan.constants import OWN, shipped_constants
    from somaray.plan.fit import fit_to_results
    from somaray.provenance import host
    from somaray.records import write_record

    constants = fit_to_results(results_dir, host().name, shipped_constants())
    if constants is None:
        raise SomarayError(f"{results_dir}: no finished run of this host, {host().name}, to fit constants to")
    write_record(results_dir / OWN, constants)
