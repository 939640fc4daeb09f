"""Names of native stacks as TileDB, SOMA and Arrow leave them, and symbols cut to what a person reads."""

import pytest

from somaray.allocations.native_names import (
    ARROW,
    COLUMN_BUFFERS,
    CSR,
    DECOMPRESSION,
    OTHER,
    SOMA,
    TILEDB,
    TILES,
    UNKNOWN_NAME,
    NativeName,
    name_stack,
    short_symbol,
)

UNKNOWN = ("<unknown>", "<unknown>", 0)


def frames(*symbols: str) -> list[tuple[str, str, int]]:
    return [(symbol, "<unknown>", 0) for symbol in symbols]


@pytest.mark.parametrize(
    ("symbol", "short"),
    [
        ("operator new(unsigned long)", "operator new"),
        ("tiledb::sm::Tile::Tile(unsigned int, tiledb::sm::Datatype)", "tiledb::sm::Tile::Tile"),
        ("tiledb::sm::Posix::abs_path[abi:cxx11](std::basic_string_view<char>)", "tiledb::sm::Posix::abs_path"),
        (
            "bool tiledb::sm::SparseReader<unsigned char>::process_tiles<unsigned long>(std::vector<int>&)",
            "tiledb::sm::SparseReader::process_tiles",
        ),
        (
            "arrow::py::(anonymous namespace)::Writer::Visit(arrow::DataType const&)",
            "arrow::py::{anonymous}::Writer::Visit",
        ),
        ("void f<(Kind)3>(int)", "f"),
        (
            "tiledb::sm::FilterPipeline::operator=(tiledb::sm::FilterPipeline&&)",
            "tiledb::sm::FilterPipeline::operator=",
        ),
        ("ns::Functor<int>::operator()(int) const", "ns::Functor::operator()"),
        ("ZSTD_createDCtx", "ZSTD_createDCtx"),
        ("", ""),
    ],
)
def test_a_symbol_is_cut_to_its_name(symbol: str, short: str) -> None:
    assert short_symbol(symbol) == short


@pytest.mark.parametrize(
    ("name", "symbols"),
    [
        (NativeName("ZSTD_createDCtx", "Zstandard", DECOMPRESSION),
         ["ZSTD_createDCtx", "tiledb::sm::CompressionFilter::init_decompression_resource_pool(unsigned long)"]),
        (NativeName("tiledb::sm::Tile::Tile", "TileDB", TILES),
         ["operator new(unsigned long)", "tiledb::sm::Tile::Tile(int)", "std::enable_if<true>::type f<int>()"]),
        # A buffer of TileDB's is what it is used for.
        (NativeName("tiledb::sm::Buffer::realloc", "TileDB", DECOMPRESSION),
         ["tiledb::sm::Buffer::realloc(unsigned long)", "tiledb::sm::CompressionFilter::decompress_part(int)"]),
        (NativeName("tiledb::sm::FilteredData::FilteredData", "TileDB", TILES),
         ["operator new(unsigned long)", "tiledb::sm::FilteredData::FilteredData(int)"]),
        (NativeName("tiledbsoma::parallel_for", "TileDB-SOMA", CSR),
         ["operator new(unsigned long)",
          "tiledbsoma::Status tiledbsoma::parallel_for<tiledbsoma::fastercsx::sort_csx_indices<int>(int)::{lambda()#1}>(int)"]),
        (NativeName("tiledbsoma::ColumnBuffer::ColumnBuffer", "TileDB-SOMA", COLUMN_BUFFERS),
         ["malloc", "std::vector<std::byte>::resize(unsigned long)", "tiledbsoma::ColumnBuffer::ColumnBuffer(int)"]),
        (NativeName("tiledbsoma::SOMAArray::open", "TileDB-SOMA", SOMA), ["operator new(unsigned long)",
                                                                           "tiledbsoma::SOMAArray::open(int)"]),
        (NativeName("arrow::PoolBuffer::Resize", "Arrow", ARROW), ["_mi_arena_alloc", "mi_malloc_aligned",
                                                                   "arrow::PoolBuffer::Resize(long, bool)"]),
        (NativeName("tiledb::sm::VFS::read_impl", "TileDB", TILEDB), ["std::string::reserve()", "tiledb::sm::VFS::read_impl()"]),
        (NativeName("exec_blas", "OpenBLAS", OTHER), ["mmap", "exec_blas", "start_thread"]),
        # A thread's own start has no better name than where it began.
        (NativeName("start_thread", None, OTHER), ["malloc", "std::thread::_M_start()", "start_thread"]),
        (UNKNOWN_NAME, ["<unknown>", "<unknown>"]),
        (UNKNOWN_NAME, []),
    ],
)  # fmt: skip
def test_the_innermost_function_that_is_no_allocator_names_a_stack(name: NativeName, symbols: list[str]) -> None:
    assert name_stack(frames(*symbols)) == name


def test_unknown_frames_between_known_ones_are_passed_over() -> None:
    assert name_stack([UNKNOWN, *frames("tiledb::sm::Tile::Tile(int)"), UNKNOWN]).symbol == "tiledb::sm::Tile::Tile"


def test_the_library_comes_from_the_file_where_the_symbol_does_not_tell() -> None:
    assert name_stack([("grow", "/env/lib/libown.so.3", 0)]).library == "libown.so.3"
    assert name_stack([("__alloc_dir", "./dirent/opendir.c", 0)]).library == "C library"
    assert name_stack([("grow", "<unknown>", 0)]).library is None
