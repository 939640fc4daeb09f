"""What a call stack's bytes are charged to: the line that allocated, the layer that caused it, and the work it served."""

from collections.abc import Iterable, Sequence

import msgspec

from somaray.allocations.groups import Grouping
from somaray.allocations.places import locate

LAYERS = frozenset({"anndata", "dask", "distributed", "scanpy", "somacore", "somaray", "tiledbsoma"})
"""Packages a byte can be blamed on: the workflow's own layers, which decide what the libraries below them do."""

FrameTuple = tuple[str, str, int]


class Frame(msgspec.Struct, frozen=True, array_like=True):
    """One Python frame, in memray's words."""

    function: str
    file: str
    line: int


class Charge(msgspec.Struct, frozen=True, array_like=True):
    """Where bytes are charged; frames are None where memray knew no Python frame.

    `leaf` is the line that called the allocator, `blame` the innermost line that belongs to `LAYERS`, or the leaf where there
    is none, and `group` one of `groups.GROUPS`.
    """

    leaf: Frame | None
    blame: Frame | None
    group: str


class Charger:
    """Turns call stacks into charges. Of many stacks few charges come, so that these are all that need be kept."""

    def __init__(self) -> None:
        self._grouping = Grouping()
        self._frames: dict[FrameTuple, Frame] = {}
        self._is_layer: dict[str, bool] = {}

    def charge(self, stack: Sequence[FrameTuple]) -> Charge:
        """Charge of a stack of (function, file, line), innermost first; an empty one has no frames."""
        if not stack:
            return Charge(None, None, self._grouping.group(()))
        blame = next((frame for frame in stack if self._in_layer(frame[1])), stack[0])
        return Charge(self._frame(stack[0]), self._frame(blame), self._grouping.group(stack))

    def _in_layer(self, file: str) -> bool:
        try:
            return self._is_layer[file]
        except KeyError:
            found = self._is_layer[file] = locate(file).package in LAYERS
            return found

    def _frame(self, frame: FrameTuple) -> Frame:
        known = self._frames.get(frame)
        if known is None:
            known = self._frames[frame] = Frame(*frame)
        return known


def add_up[K](rows: Iterable[tuple[K, Sequence[int]]]) -> dict[K, tuple[int, ...]]:
    """Sum rows of numbers by their key."""
    sums: dict[K, list[int]] = {}
    for key, numbers in rows:
        own = sums.get(key)
        if own is None:
            sums[key] = list(numbers)
        else:
            for index, number in enumerate(numbers):
                own[index] += number
    return {key: tuple(own) for key, own in sums.items()}
