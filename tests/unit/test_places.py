import sysconfig
from importlib import import_module, metadata
from pathlib import Path

import pytest

from somaray.allocations.places import (
    CPYTHON,
    PACKAGES,
    Links,
    SourceFile,
    installed_versions,
    locate,
    parse_refs,
    release_ref,
)
from somaray.errors import SomarayError
from somaray.records import Place

SITE = "/home/ubuntu/.pyenv/versions/3.12.6/lib/python3.12/site-packages"


def place(path: str, line: int | None = 7) -> Place:
    source = locate(path)
    return Place(file=source.file, function="f", line=line, package=source.package, total_bytes=1, held_bytes=0)


@pytest.mark.parametrize(
    ("path", "package", "file"),
    [
        (f"{SITE}/dask/tokenize.py", "dask", "dask/tokenize.py"),
        (f"{SITE}/fast_array_utils/stats/_power.py", "fast-array-utils", "fast_array_utils/stats/_power.py"),
        (f"{SITE}/sklearn/base.py", "scikit-learn", "sklearn/base.py"),
        (f"{SITE}/natsort/utils.py", "natsort", "natsort/utils.py"),
        (f"{SITE}/six.py", "six", "six.py"),
        ("/usr/lib/python3/dist-packages/numpy/core/numeric.py", "numpy", "numpy/core/numeric.py"),
        ("/opt/my env/lib/python3.12/site-packages/zarr/core/array.py", "zarr", "zarr/core/array.py"),
        # The innermost site-packages counts.
        (f"/data/site-packages/x{SITE}/dask/core.py", "dask", "dask/core.py"),
        (
            "/home/ubuntu/TileDB-SOMA/apis/python/src/tiledbsoma/_read_iters.py",
            "tiledbsoma",
            "tiledbsoma/_read_iters.py",
        ),
        ("/src/scanpy/src/scanpy/preprocessing/_simple.py", "scanpy", "scanpy/preprocessing/_simple.py"),
        ("/home/me/scanpy-1.9/scanpy/preprocessing/_simple.py", "scanpy", "scanpy/preprocessing/_simple.py"),
        ("/home/me/dask/dask/array/core.py", "dask", "dask/array/core.py"),
        ("/repo/scripts/somaray/methods/soma_dask.py", "somaray", "somaray/methods/soma_dask.py"),
        ("/usr/lib/python3.12/threading.py", CPYTHON, "Lib/threading.py"),
        ("/home/me/.pyenv/versions/3.12.1/lib/python3.12/json/decoder.py", CPYTHON, "Lib/json/decoder.py"),
        ("<frozen importlib._bootstrap>", CPYTHON, "Lib/importlib/_bootstrap.py"),
        # Compiled modules record their source relative to the repository.
        ("pandas/_libs/lib.pyx", "pandas", "pandas/_libs/lib.pyx"),
        # A folder named like a package is none.
        ("/home/me/dask/my_script.py", None, "/home/me/dask/my_script.py"),
        ("/home/me/numpy/notes/dask/x.py", None, "/home/me/numpy/notes/dask/x.py"),
        ("/home/me/Lib/x.py", None, "/home/me/Lib/x.py"),
        ("my script.py", None, "my script.py"),
        ("<string>", None, "<string>"),
        ("<__array_function__ internals>", None, "<__array_function__ internals>"),
        ("", None, ""),
    ],
)
def test_locates_a_file_by_its_path_alone(path: str, package: str | None, file: str) -> None:
    assert locate(path) == SourceFile(package, file)


@pytest.mark.parametrize(
    ("package", "version", "path", "expected"),
    [
        ("tiledbsoma", "1.15.0", f"{SITE}/tiledbsoma/a.py",
         "single-cell-data/TileDB-SOMA/blob/1.15.0/apis/python/src/tiledbsoma/a.py"),
        ("somacore", "1.0.29", f"{SITE}/somacore/a.py",
         "single-cell-data/SOMA/blob/python-v1.0.29/python-spec/src/somacore/a.py"),
        ("scanpy", "1.12.4", f"{SITE}/scanpy/a.py", "scverse/scanpy/blob/1.12.4/src/scanpy/a.py"),
        ("scanpy", "1.10.1", f"{SITE}/scanpy/a.py", "scverse/scanpy/blob/1.10.1/scanpy/a.py"),
        ("scanpy", "1.10.2", f"{SITE}/scanpy/a.py", "scverse/scanpy/blob/1.10.2/src/scanpy/a.py"),
        ("anndata", "0.12.19", f"{SITE}/anndata/a.py", "scverse/anndata/blob/0.12.19/src/anndata/a.py"),
        ("anndata", "0.10.7", f"{SITE}/anndata/a.py", "scverse/anndata/blob/0.10.7/anndata/a.py"),
        ("dask", "2024.11.2", f"{SITE}/dask/a.py", "dask/dask/blob/2024.11.2/dask/a.py"),
        ("distributed", "2026.8.0", f"{SITE}/distributed/a.py", "dask/distributed/blob/2026.8.0/distributed/a.py"),
        ("cloudpickle", "3.1.1", f"{SITE}/cloudpickle/a.py", "cloudpipe/cloudpickle/blob/v3.1.1/cloudpickle/a.py"),
        ("msgpack", "1.1.0", f"{SITE}/msgpack/a.py", "msgpack/msgpack-python/blob/v1.1.0/msgpack/a.py"),
        ("numpy", "2.5.5", f"{SITE}/numpy/a.py", "numpy/numpy/blob/v2.5.5/numpy/a.py"),
        ("scipy", "1.18.1", f"{SITE}/scipy/a.py", "scipy/scipy/blob/v1.18.1/scipy/a.py"),
        ("pandas", "2.3.3", f"{SITE}/pandas/a.py", "pandas-dev/pandas/blob/v2.3.3/pandas/a.py"),
        ("pyarrow", "26.0.1", f"{SITE}/pyarrow/a.py", "apache/arrow/blob/apache-arrow-26.0.1/python/pyarrow/a.py"),
        ("numba", "0.68.1", f"{SITE}/numba/a.py", "numba/numba/blob/0.68.1/numba/a.py"),
        ("h5py", "3.16.0", f"{SITE}/h5py/a.py", "h5py/h5py/blob/3.16.0/h5py/a.py"),
        ("zarr", "3.4.2", f"{SITE}/zarr/a.py", "zarr-developers/zarr-python/blob/v3.4.2/src/zarr/a.py"),
        ("zarr", "2.18.7", f"{SITE}/zarr/a.py", "zarr-developers/zarr-python/blob/v2.18.7/zarr/a.py"),
        ("fast-array-utils", "1.5.1", f"{SITE}/fast_array_utils/a.py",
         "scverse/fast-array-utils/blob/v1.5.1/src/fast_array_utils/a.py"),
        ("memray", "1.20.0", f"{SITE}/memray/a.py", "bloomberg/memray/blob/v1.20.0/src/memray/a.py"),
        ("python", "3.12.1", "/usr/lib/python3.12/abc.py", "python/cpython/blob/v3.12.1/Lib/abc.py"),
        ("psutil", "7.2.2", f"{SITE}/psutil/a.py", "giampaolo/psutil/blob/release-7.2.2/psutil/a.py"),
        # A folder with spaces or brackets in a package's own tree must not break the link.
        ("dask", "2026.8.0", f"{SITE}/dask/a (b).py", "dask/dask/blob/2026.8.0/dask/a%20%28b%29.py"),
    ],
)  # fmt: skip
def test_links_to_the_release_of_the_recorded_version(package: str, version: str, path: str, expected: str) -> None:
    assert Links({package: version}).url(place(path)) == f"https://github.com/{expected}#L7"


@pytest.mark.parametrize(
    ("version", "ref"),
    [
        ("1.15.0", "1.15.0"),
        ("2.0.0rc1", "2.0.0rc1"),
        ("1.15.0.post2", "1.15.0.post2"),
        ("1.15.1.dev7+ga0348ff5", "a0348ff5"),
        ("2024.11.2+3.ga0348ff5", "a0348ff5"),
        ("1.15.1.dev7", None),
        ("unknown", None),
        (None, None),
    ],
)
def test_a_version_without_a_tag_is_linked_by_its_commit_or_not_at_all(version: str | None, ref: str | None) -> None:
    assert release_ref(PACKAGES["tiledbsoma"], version) == ref


def test_a_ref_is_used_as_it_stands_and_beats_the_recorded_version() -> None:
    links = Links({"scanpy": "1.12.4", "dask": "2026.8.0"}, {"scanpy": "main", "fast_array_utils": "feature/x"})
    assert links.url(place(f"{SITE}/scanpy/a.py")) == "https://github.com/scverse/scanpy/blob/main/src/scanpy/a.py#L7"
    assert links.url(place(f"{SITE}/dask/a.py")) == "https://github.com/dask/dask/blob/2026.8.0/dask/a.py#L7"
    assert links.url(place(f"{SITE}/fast_array_utils/a.py")) == (
        "https://github.com/scverse/fast-array-utils/blob/feature/x/src/fast_array_utils/a.py#L7"
    )


def test_a_ref_that_is_an_old_release_gets_the_layout_of_its_day() -> None:
    links = Links({"scanpy": "1.12.4"}, {"scanpy": "1.9.8"})
    assert links.url(place(f"{SITE}/scanpy/a.py")) == "https://github.com/scverse/scanpy/blob/1.9.8/scanpy/a.py#L7"


@pytest.mark.parametrize("path", [f"{SITE}/natsort/utils.py", "/repo/scripts/somaray/cli.py", "<string>", "/x/y.py"])
def test_what_has_no_known_repository_is_not_linked(path: str) -> None:
    assert Links({"natsort": "8.4.0", "somaray": "0.1.0"}).url(place(path)) is None


@pytest.mark.parametrize("name", ["tiledb-soma", "natsort", "somaray", ""])
def test_a_ref_for_an_unknown_package_names_the_known_ones(name: str) -> None:
    with pytest.raises(SomarayError, match=r"is not a package with a known repository: .*tiledbsoma"):
        Links({}, {name: "main"})


@pytest.mark.parametrize("text", ["dask", "dask=", "=main", ""])
def test_a_malformed_ref_is_refused(text: str) -> None:
    with pytest.raises(SomarayError, match="PACKAGE=REF"):
        parse_refs([text])


@pytest.mark.parametrize("name", sorted(set(PACKAGES) - {CPYTHON, "somaray"}))
def test_the_table_agrees_with_the_installed_packages(name: str) -> None:
    """A link ends in a file that the installed package has, at the version that is installed."""
    package = PACKAGES[name]
    module = import_module(package.top)
    assert module.__file__ is not None
    source = locate(module.__file__)
    assert source.package == name
    version = metadata.version(name)
    url = Links(installed_versions([module.__file__])).url(place(module.__file__, line=None))
    assert url == (
        f"https://github.com/{package.repository}/blob/{package.tag.format(version)}/"
        f"{package.source_at(version)}{source.file}"
    )
    assert (Path(sysconfig.get_path("purelib")) / source.file).is_file()


def test_installed_versions_say_nothing_of_another_environment() -> None:
    assert installed_versions([f"{SITE}/dask/core.py", "/usr/lib/python9.9/abc.py", "<string>"]) == {}
