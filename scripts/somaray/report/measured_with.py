"""The closing lines of every table: on what, with which versions and settings its figures were measured."""

import json
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from somaray.records import Execution
from somaray.report.markdown import escape
from somaray.settings import Part
from somaray.units import format_bytes, format_seconds


def measured_with(executions: Sequence[Execution]) -> str:
    """Name hosts, versions and settings; several of each where executions differ in them."""
    lines = ["## Measured with\n"]
    hosts = {execution.provenance.host.name: execution.provenance.host for execution in executions}
    lines += [
        f"- Host {escape(host.name)}: {escape(host.cpu_model)}, {host.usable_cores} of {host.logical_cores} cores usable, "
        f"{format_bytes(host.memory_bytes)} of memory, {escape(host.kernel)}"
        for _, host in sorted(hosts.items())
    ]
    lines += _distinct("Versions", (_versions(execution) for execution in executions))
    lines += _distinct("HVG", (_changed(execution.hvg) for execution in executions))
    lines += _distinct("Dask", (_changed(execution.dask) for execution in executions))
    lines += _distinct("TileDB", (_pairs(execution.tiledb) or "its defaults" for execution in executions))
    lines += _distinct("Limits", (_limits(execution) for execution in executions))
    times = sorted(execution.provenance.made_at for execution in executions)
    if times:
        lines.append(f"- Between {times[0]} and {times[-1]}")
    return "\n".join(lines) + "\n"


def _distinct(title: str, texts: Iterable[str]) -> list[str]:
    return [f"- {title}: {text}" for text in sorted(set(texts))]


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


def _changed(settings: Part) -> str:
    return _pairs(msgspec.to_builtins(settings))


def _limits(execution: Execution) -> str:
    memory, time = execution.limits.memory_bytes, execution.limits.time_seconds
    return (
        f"memory {'unlimited' if memory is None else format_bytes(memory)}, "
        f"time {'unlimited' if time is None else format_seconds(time)} an execution"
    )
