"""From a file path in a stack trace to its package, its name inside that package, and a permalink to the line."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import metadata
from urllib.parse import quote

from somaray.errors import SomarayError
from somaray.records import Place

CPYTHON = "cpython"


@dataclass(frozen=True)
class Package:
    """Where a package's source lines are found on GitHub.

    Parameters
    ----------
    name
        The distribution's name.
    repository
        `owner/name`; None where its lines are not linked.
    tag
        The release tag of a version, with `{}` for the version.
    source
        Folder of the repository that holds the import package, with its closing slash, or empty.
    import_name
        Where it differs from the distribution's name.
    flat_before
        The version that moved the import package from the repository's top into `source`.
    """

    name: str
    repository: str | None
    tag: str = "v{}"
    source: str = ""
    import_name: str = ""
    flat_before: str = ""

    @property
    def top(self) -> str:
        """First folder (or module) of its files."""
        return self.import_name or self.name

    def source_at(self, version: str | None) -> str:
        """The source folder at a version; today's where the version is not known."""
        if version and self.flat_before and _release(version) < _release(self.flat_before):
            return ""
        return self.source


PACKAGES = {
    package.name: package
    for package in (
        Package("anndata", "scverse/anndata", "{}", "src/", flat_before="0.10.8"),
        Package("cellxgene-census", "chanzuckerberg/cellxgene-census", "v{}", "api/python/cellxgene_census/src/",
                "cellxgene_census"),
        Package("cloudpickle", "cloudpipe/cloudpickle"),
        Package(CPYTHON, "python/cpython", "v{}", "", "Lib"),
        Package("dask", "dask/dask", "{}"),
        Package("distributed", "dask/distributed", "{}"),
        Package("fast-array-utils", "scverse/fast-array-utils", "v{}", "src/", "fast_array_utils"),
        Package("fsspec", "fsspec/filesystem_spec", "{}"),
        Package("h5py", "h5py/h5py", "{}"),
        Package("llvmlite", "numba/llvmlite", "v{}"),
        Package("memray", "bloomberg/memray", "v{}", "src/"),
        Package("msgpack", "msgpack/msgpack-python"),
        Package("numba", "numba/numba", "{}"),
        Package("numpy", "numpy/numpy"),
        Package("pandas", "pandas-dev/pandas"),
        Package("psutil", "giampaolo/psutil", "release-{}"),
        Package("pyarrow", "apache/arrow", "apache-arrow-{}", "python/"),
        Package("s3fs", "fsspec/s3fs", "{}"),
        Package("scanpy", "scverse/scanpy", "{}", "src/", flat_before="1.10.2"),
        Package("scikit-learn", "scikit-learn/scikit-learn", "{}", "", "sklearn"),
        Package("scipy", "scipy/scipy"),
        Package("somacore", "single-cell-data/SOMA", "python-v{}", "python-spec/src/"),
        Package("somaray", None, source="scripts/"),
        Package("tiledb", "TileDB-Inc/TileDB-Py", "{}"),
        Package("tiledbsoma", "single-cell-data/TileDB-SOMA", "{}", "apis/python/src/"),
        Package("tornado", "tornadoweb/tornado"),
        Package("zarr", "zarr-developers/zarr-python", "v{}", "src/", flat_before="3.0.0"),
    )
}  # fmt: skip
"""Packages the workflow can meet, by distribution name."""

_BY_TOP = {package.top: package for package in PACKAGES.values()}
_INSTALLED = re.compile(r".*[/\\](?:site|dist)-packages[/\\](.+)")
_STDLIB = re.compile(r".*[/\\]lib(?:64)?[/\\]python3(?:\.\d+)?t?[/\\](.+)")
_FROZEN = re.compile(r"<frozen ([\w.]+)>")
_COMMIT = re.compile(r"[+.]g([0-9a-f]{7,40})\b")
_RELEASE = re.compile(r"\d+(?:\.\d+)*(?:(?:a|b|rc|\.post)\d+)?")


@dataclass(frozen=True)
class SourceFile:
    """A file as its package's repository names it below the source folder; `package` is None where it belongs to none."""

    package: str | None
    file: str


@lru_cache(maxsize=100_000)
def locate(path: str) -> SourceFile:
    """Find the package of a file by its path alone: an installed one, a checkout, or the standard library's.

    Paths of another machine are understood too, since nothing is looked up on disk. Anything else (a user's script,
    `<string>`) keeps its path and has no package.
    """
    if frozen := _FROZEN.fullmatch(path):
        return SourceFile(CPYTHON, f"Lib/{frozen[1].replace('.', '/')}.py")
    if installed := _INSTALLED.fullmatch(path):
        return _in_package(installed[1].replace("\\", "/"))
    if stdlib := _STDLIB.fullmatch(path):
        return SourceFile(CPYTHON, f"Lib/{stdlib[1]}".replace("\\", "/"))
    parts = path.replace("\\", "/").split("/")
    # A checkout: the import package inside its source folder, or inside the repository's own folder where it has none.
    for index in range(len(parts) - 2, -1, -1):
        package = _BY_TOP.get(parts[index])
        if package is not None and package.name != CPYTHON and _is_checkout(package, parts[:index]):
            return SourceFile(package.name, "/".join(parts[index:]))
    return SourceFile(None, path)


def _in_package(file: str) -> SourceFile:
    top = file.split("/", 1)[0].removesuffix(".py")
    return SourceFile(_BY_TOP[top].name if top in _BY_TOP else top, file)


def _is_checkout(package: Package, above: list[str]) -> bool:
    # Compiled modules record their source relative to the repository's top.
    sources = {package.source, ""} if package.flat_before else {package.source}
    folder = "/".join(above) + "/" if above else ""
    if folder in sources:
        return True
    repository = (package.repository or package.name).rsplit("/", 1)[-1].lower()
    return any(
        folder.endswith(f"/{source}") if source else above[-1:] and above[-1].lower().startswith(repository)
        for source in sources
    )


class Links:
    """Permalinks to source lines, at the versions something was measured with.

    Parameters
    ----------
    versions
        Distribution (or `python`) to version, as recorded with a capture.
    refs
        Distribution or import name to a git ref that is used as it stands, before any version.

    Raises
    ------
    SomarayError
        If `refs` names a package whose repository is not known.
    """

    def __init__(self, versions: Mapping[str, str], refs: Mapping[str, str] | None = None) -> None:
        self._versions = {_known_name(name): version for name, version in versions.items()}
        self._refs: dict[str, str] = {}
        for name, ref in (refs or {}).items():
            package = PACKAGES.get(_known_name(name))
            if package is None or package.repository is None:
                linked = ", ".join(known for known, each in PACKAGES.items() if each.repository)
                raise SomarayError(f"--ref {name}={ref}: {name!r} is not a package with a known repository: {linked}")
            self._refs[package.name] = ref

    def url(self, place: Place) -> str | None:
        """Permalink of a place; None where its package is unknown or its version has no tag."""
        package = PACKAGES.get(place.package or "")
        if package is None or package.repository is None or place.file is None:
            return None
        version = self._versions.get(package.name)
        ref = self._refs.get(package.name)
        if ref is None:
            ref = release_ref(package, version)
        elif found := _RELEASE.search(ref) if "." in ref else None:
            version = found[0]
        if ref is None:
            return None
        path = quote(f"{package.source_at(version)}{place.file}")
        line = f"#L{place.line}" if place.line else ""
        return f"https://github.com/{package.repository}/blob/{quote(ref)}/{path}{line}"


def release_ref(package: Package, version: str | None) -> str | None:
    """The git ref of a version: its tag, the commit a development version names, or None."""
    if version is None:
        return None
    if commit := _COMMIT.search(version):
        return commit[1]
    release = _RELEASE.search(version) if package.name == CPYTHON else _RELEASE.fullmatch(version)
    return package.tag.format(release[0]) if release else None


def installed_versions(paths: Iterable[str]) -> dict[str, str]:
    """Versions of the packages that `paths` lie in, where those very files belong to this environment's packages.

    For a capture without a record of its versions: it says nothing of files of another environment.
    """
    import sys
    import sysconfig

    homes = tuple({sysconfig.get_path("purelib") + "/", sysconfig.get_path("platlib") + "/"})
    stdlib = sysconfig.get_path("stdlib") + "/"
    versions = {}
    for path in paths:
        package = locate(path).package
        if package in versions or package not in PACKAGES:
            continue
        if package == CPYTHON:
            if path.startswith(stdlib):
                versions[package] = ".".join(map(str, sys.version_info[:3]))
        elif path.startswith(homes):
            try:
                versions[package] = metadata.version(package)
            except metadata.PackageNotFoundError:
                continue
    return versions


def parse_refs(texts: Iterable[str]) -> dict[str, str]:
    """Read `PACKAGE=REF` arguments.

    Raises
    ------
    SomarayError
        If one has another form.
    """
    refs = {}
    for text in texts:
        package, equals, ref = text.partition("=")
        if not (package and equals and ref):
            raise SomarayError(f"--ref {text}: expected PACKAGE=REF, e.g. dask=2024.11.2 or tiledbsoma=a0348ff5")
        refs[package] = ref
    return refs


def _known_name(name: str) -> str:
    if name == "python":
        return CPYTHON
    if name in _BY_TOP:
        return _BY_TOP[name].name
    return re.sub(r"[-_.]+", "-", name).lower()


def _release(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version)[:3])
