"""How much memory a measured run may use on this host."""

from pathlib import Path

import msgspec
import psutil

from somaray.config import AUTO_MEMORY_BYTES
from somaray.settings import Limits

AUTO_SHARE = 0.9

_CONTROL_GROUP_LIMITS = (
    "/sys/fs/cgroup/memory.max",
    "/sys/fs/cgroup/memory/memory.limit_in_bytes",
)
"""Of control groups version 2 and 1, as seen from inside a container or job; `max` and absurdly large numbers are no limit."""


def usable_memory_bytes() -> int:
    """Bytes of memory this process's control group allows, at most what the machine has."""
    limits = [psutil.virtual_memory().total]
    for path in map(Path, _CONTROL_GROUP_LIMITS):
        try:
            limits.append(int(path.read_text()))
        except (OSError, ValueError):
            continue
    return min(limits)


def resolve_limits(limits: Limits) -> Limits:
    """Turn a memory budget of `auto` into 90 % of what this host has for us."""
    if limits.memory_bytes != AUTO_MEMORY_BYTES:
        return limits
    return msgspec.structs.replace(limits, memory_bytes=int(usable_memory_bytes() * AUTO_SHARE))
