"""The last word on an invocation: whether every run ended well and agrees."""

from collections.abc import Sequence

from somaray.records import Agreement, Execution
from somaray.report.rows import run_of


def failed(executions: Sequence[Execution], agreements: Sequence[Agreement]) -> list[str]:
    """One line for every execution that did not end well, and every result that disagrees."""
    lines = []
    for execution in executions:
        if execution.status not in ("ok", "unsupported"):
            lines.append(f"{run_of(execution).path} {_name(execution)}: {execution.status_text}")
    for agreement in agreements:
        lines += [
            f"{run_of(agreement).path} {check.execution}: disagrees with the reference ({check.note})"
            for check in agreement.checks
            if check.agrees is False
        ]
    return lines


def _name(execution: Execution) -> str:
    if execution.replicate is not None:
        return f"timing-{execution.replicate}"
    return "native capture" if execution.profile is not None and execution.profile.native_traces else "capture"


def summary(executions: Sequence[Execution], agreements: Sequence[Agreement]) -> str:
    """Say how much was done and checked."""
    checks = [check for agreement in agreements for check in agreement.checks]
    checked = sum(check.agrees is not None for check in checks)
    return (
        f"{len(agreements)} runs, {len(executions)} executions, none failed; "
        f"{checked} of {len(checks)} results checked against a reference{', all of these agree' if checked else ''}\n"
    )
