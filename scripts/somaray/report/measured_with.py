"""The closing lines of every table: on what, with which versions and settings its figures were measured."""

import json
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from somaray.cluster import LIBRARY_THREAD_VARIABLES
from somaray.matrix import DEFAULT
from somaray.records import Execution
from somaray.registry import METHODS
from somaray.report.markdown import escape
from somaray.settings import LOCAL, SLURM, DaskSettings
from somaray.units import format_bytes, format_seconds


def measured_with(executions: Sequence[Execution]) -> str:
    """Name hosts, versions and settings; several of each where executions differ in them, a variant's by its name."""
    lines = ["## Measured with\n"]
    hosts = {execution.provenance.host.name: execution.provenance.host for execution in executions}
    lines += [
        f"- Host {escape(host.name)}: {escape(host.cpu_model)}, {host.usable_cores} of {host.logical_cores} cores usable, "
        f"{format_bytes(host.memory_bytes)} of memory, {escape(host.kernel)}"
        for _, host in sorted(hosts.items())
    ]
    lines += _distinct("Versions", (_versions(execution) for execution in executions))
    lines += _distinct("HVG", (_pairs(msgspec.to_builtins(execution.hvg)) for execution in executions))
    lines += _settings_by_variant(executions)
    lines += _distinct("Limits", (_limits(execution) for execution in executions))
    times = sorted(execution.provenance.made_at for execution in executions)
    if times:
        lines.append(f"- Between {times[0]} and {times[-1]}")
    return "\n".join(lines) + "\n"


def _distinct(title: str, texts: Iterable[str]) -> list[str]:
    return [f"- {title}: {text}" for text in sorted(set(texts))]


def _settings_by_variant(executions: Sequence[Execution]) -> list[str]:
    """What the default was run with, then what each other variant had otherwise."""
    by_variant: dict[str, list[Execution]] = {}
    for execution in executions:
        by_variant.setdefault(execution.variant, []).append(execution)
    said = _settings(by_variant.get(DEFAULT, []))
    lines = [f"- {text}" for text in said]
    for variant in sorted(set(by_variant) - {DEFAULT}):
        other = [text for text in _settings(by_variant[variant]) if text not in said]
        lines.append(f"- Variant {escape(variant)}: {'; '.join(other) or f'as {DEFAULT}'}")
    return lines


def _settings(executions: Sequence[Execution]) -> list[str]:
    """The settings that mean something to the executions' methods, each distinct text once."""
    texts: dict[str, set[str]] = {
        "Dask": set(),
        "TileDB": set(),
        "Environment": set(),
        "obs read": set(),
        "var read": set(),
    }
    for execution in executions:
        method = METHODS.get(execution.method)
        meaningless = method.unaffected_by if method else ()
        if "dask" not in meaningless:
            texts["Dask"].add(_dask(execution.dask))
        if "tiledb" not in meaningless:
            texts["TileDB"].add(_pairs(execution.tiledb) or "its defaults")
        # Threads of libraries are told among Dask's settings.
        variables = {
            name: value for name, value in execution.environment.items() if name not in LIBRARY_THREAD_VARIABLES
        }
        texts["Environment"] |= {_pairs(variables)} - {""}
        for axis, columns in (("obs", execution.obs_columns), ("var", execution.var_columns)):
            if columns is not None:
                texts[f"{axis} read"].add(f"{escape(', '.join(columns)) or 'no column'} beside those needed")
    return [f"{title}: {text}" for title, distinct in texts.items() for text in sorted(distinct)]


def _versions(execution: Execution) -> str:
    return ", ".join(
        f"{escape(name)} {escape(version)}" for name, version in sorted(execution.provenance.versions.items())
    )


def _pairs(settings: Mapping[str, object]) -> str:
    return ", ".join(
        f"{escape(name)} = {escape(value if isinstance(value, str) else json.dumps(value))}"
        for name, value in settings.items()
        if value is not None and value != {}
    )


def _dask(settings: DaskSettings) -> str:
    """Where workers live is told where it is not the usual place."""
    told = msgspec.to_builtins(settings)
    cluster, slurm = told.pop("cluster"), told.pop("slurm")
    if cluster != LOCAL:
        told["cluster"] = cluster
    if cluster == SLURM:
        told |= {f"slurm.{name}": value for name, value in slurm.items() if value}
    return _pairs(told)


def _limits(execution: Execution) -> str:
    memory, time = execution.limits.memory_bytes, execution.limits.time_seconds
    return (
        f"memory {'unlimited' if memory is None else format_bytes(memory)}, "
        f"time {'unlimited' if time is None else format_seconds(time)} an execution"
    )
