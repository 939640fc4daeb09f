"""From a native call stack to a name, its library, and the kind of memory it is: tables of rules over demangled symbols.

Allocations of threads that run no Python have no source line, but with native traces they have symbols. The innermost function
that is no allocator and no container of the C++ library gives the name.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

COLUMN_BUFFERS = "SOMA column buffers"
TILES = "TileDB tiles"
DECOMPRESSION = "decompression"
CSR = "SOMA reindexing and CSR building"
ARROW = "Arrow pools"
TILEDB = "TileDB, other"
SOMA = "SOMA, other"
OTHER = "other libraries"
UNNAMED = "no symbol"

GROUPS = (COLUMN_BUFFERS, TILES, DECOMPRESSION, CSR, ARROW, TILEDB, SOMA, OTHER, UNNAMED)
"""Kinds of memory, in the order they are shown."""

_GROUP_RULES = (
    (OTHER, r"^_?Py[A-Z_]"),
    (CSR, r"tiledbsoma::(fastercsx|IntIndexer)|^kh_\w+"),
    (COLUMN_BUFFERS, r"^tiledbsoma::(\w*ColumnBuffer|ArrayBuffers|ManagedQuery)\b"),
    # Zstandard's and zlib's states live with TileDB's filters, one of each kind a thread.
    (DECOMPRESSION, r"^(ZSTD|HUF|FSE|LZ4|inflate|deflate|BZ2|blosc)"),
    (DECOMPRESSION, r"^tiledb::sm::(\w*Filter(?!edData)|G?Zip|Z[Ss]td|LZ4|BZip|RLE|Delta)"),
    (TILES, r"^tiledb::sm::(Tile|TileBase|WriterTile\w*|ResultTile\w*|FilteredData\w*|GenericTileIO)\b"),
    (ARROW, r"^(arrow|parquet)::|^_?mi_"),
)  # fmt: skip
_GENERAL_RULES = ((TILEDB, r"^tiledb(::|_)"), (SOMA, r"^tiledbsoma::"))
"""Tried on the whole stack only after all special ones: helpers of a library say nothing of what they are called for."""

_LIBRARIES = (
    ("TileDB", r"tiledb(::|_)"),
    ("TileDB-SOMA", r"tiledbsoma::"),
    ("Arrow", r"(arrow|parquet)::"),
    ("mimalloc", r"_?mi_"),
    ("Zstandard", r"(ZSTD|HUF|FSE)"),
    ("zlib", r"(in|de)flate"),
    ("LZ4", r"LZ4"),
    ("AWS SDK", r"[Aa]ws"),
    ("CPython", r"_?Py[A-Z_]|pymalloc"),
    ("LLVM", r"(llvm|LLVM)"),
    ("OpenBLAS", r"(openblas|blas_|goto_|exec_blas)"),
    ("OpenMP", r"(GOMP|gomp|kmp|__kmp)"),
    ("HDF5", r"H5[A-Z]*_"),
)

_ALLOCATORS = re.compile(
    r"(__libc_|__GI_|__)?(malloc|calloc|realloc|memalign|aligned_alloc|posix_memalign|valloc|pvalloc|mmap(64)?)\b.*"
    r"|_?mi_\w+|operator new.*"
    r"|std::.*|__gnu_cxx::.*|__?pthread_\w+|start_thread|__?clone3?|_dl_\w+|__cxa_\w+|memray::.*|<unknown>|\?\?|"
)
_UNKNOWN = re.compile(r"<unknown>|\?\?|")
_FILE = re.compile(r"[\w.+-]+\.so(\.\d+)*")


@dataclass(frozen=True)
class NativeName:
    """What an allocation without a Python frame is called; `symbol` is None where no frame of it has a name."""

    symbol: str | None
    library: str | None
    group: str


UNKNOWN_NAME = NativeName(None, None, UNNAMED)


def name_stack(frames: Sequence[tuple[str, str, int]]) -> NativeName:
    """Name a native stack of (symbol, file, line), innermost first."""
    named = [(short_symbol(symbol), symbol, file) for symbol, file, _ in frames if not _UNKNOWN.fullmatch(symbol)]
    chosen = next((each for each in named if not _ALLOCATORS.fullmatch(each[0])), None)
    if chosen is None:
        # Threads of the C++ library and the loader allocate for themselves, too.
        chosen = next((each for each in reversed(named) if each[0]), None)
    if chosen is None:
        return UNKNOWN_NAME
    return NativeName(chosen[0], library_of(chosen[0], chosen[2]), _group([each[1] for each in named]))


@lru_cache(maxsize=100_000)
def short_symbol(symbol: str) -> str:
    """Leave out of a demangled symbol its arguments, template arguments, return type and ABI tags."""
    symbol = re.sub(r"\[abi:\w+\]", "", symbol).replace("(anonymous namespace)", "{anonymous}")
    kept, depth = [], 0
    for index, character in enumerate(symbol):
        opens = character == "<" and not symbol[:index].endswith(("operator", "operator<"))
        closes = character == ">" and depth and symbol[index - 1] != "-"
        if opens:
            depth += 1
        elif closes:
            depth -= 1
        elif not depth:
            if character == "(" and not symbol[:index].endswith("operator"):
                break
            kept.append(character)
    short = "".join(kept).strip()
    if "operator" in short:
        return short
    return short.rsplit(" ", 1)[-1].lstrip("*&")


def library_of(symbol: str, file: str) -> str | None:
    """The library a symbol belongs to, by its own name, else the shared object or source file memray gives."""
    for library, pattern in _LIBRARIES:
        if re.match(pattern, symbol):
            return library
    name = file.rsplit("/", 1)[-1]
    if _FILE.fullmatch(name):
        return name
    return "C library" if name.endswith((".c", ".S")) else None


def _group(symbols: Iterable[str]) -> str:
    names = [(short_symbol(symbol), symbol) for symbol in symbols]
    for rules in (_GROUP_RULES, _GENERAL_RULES):
        for short, symbol in names:
            for group, pattern in rules:
                # A function's template arguments may tell what it is for, those of the C++ library's do not.
                if re.search(pattern, short) or (
                    group == CSR and short.startswith("tiledb") and re.search(pattern, symbol)
                ):
                    return group
    return OTHER
