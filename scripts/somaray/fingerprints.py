"""Fingerprints of what can change a result: the sources that compute it and the versions of the libraries it uses.

Snakemake runs a job again when its script or parameters change, but does not see a change in a module that the script
imports. A fingerprint among the parameters does, and it covers no more than the functions that can be reached: comments,
layout, docstrings and functions that are not called leave it alone.
"""

import hashlib
from collections.abc import Iterable, Iterator
from functools import lru_cache
from importlib import metadata
from pathlib import Path

from somaray.bindings import Module, Reference, Statement, read_module

PACKAGE_DIR = Path(__file__).resolve().parent


def source_fingerprint(*entries: str, package_dir: Path = PACKAGE_DIR) -> str:
    """Hash all code of a package that `entries` can reach.

    Parameters
    ----------
    entries
        Where it starts: `"somaray.methods.soma_dask:compute_hvg"`, or a module name for all of that module. Modules that
        are named only at run time are not found from elsewhere, so they are entries of their own.
    package_dir
        Folder of the package; code outside it is left to `version_fingerprint`.

    Returns
    -------
    str
        Hexadecimal, the same on every machine and in whatever order the entries come.

    Raises
    ------
    ValueError
        If an entry names no module, or nothing that the module defines.
    """
    closure = _Closure(package_dir)
    for entry in entries:
        closure.enter(entry)
    return _digest(f"{where}\n{text}" for where, text in closure.reached.items())


def version_fingerprint(packages: Iterable[str]) -> str:
    """Hash the installed versions of `packages`; one that is absent counts as such."""
    return _digest(f"{name}=={_version(name)}" for name in packages)


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "absent"


def _digest(parts: Iterable[str]) -> str:
    return hashlib.sha256("\0".join(sorted(set(parts))).encode()).hexdigest()[:16]


@lru_cache(maxsize=1024)
def _read(path: Path, package: str, _modified_ns: int, _size_bytes: int) -> Module:
    return read_module(path.read_text(), package)


class _Closure:
    """Follows references from definition to definition; `reached` maps each one's place to its text."""

    def __init__(self, package_dir: Path) -> None:
        self.reached: dict[str, str] = {}
        self._dir = package_dir
        self._modules: dict[str, Module | None] = {}
        self._followed: set[tuple[str, str]] = set()

    def enter(self, entry: str) -> None:
        name, _, symbol = entry.partition(":")
        module = self._module(name)
        if module is None:
            raise ValueError(f"{entry!r}: no module {name} in {self._dir}")
        if symbol:
            if symbol not in module.definitions and symbol not in module.imports:
                raise ValueError(f"{entry!r}: {name} defines no {symbol}")
            self._follow(name, symbol)
        else:
            self._whole(name)

    def _module(self, name: str) -> Module | None:
        if name not in self._modules:
            self._modules[name] = self._load(name)
        return self._modules[name]

    def _load(self, name: str) -> Module | None:
        root, *below = name.split(".")
        if root != self._dir.name:
            return None
        folder = self._dir.joinpath(*below)
        candidates = [(folder / "__init__.py", name)]
        if below:
            candidates.append((folder.with_suffix(".py"), name.rpartition(".")[0]))
        for path, package in candidates:
            if path.is_file():
                state = path.stat()
                return _read(path, package, state.st_mtime_ns, state.st_size)
        return None

    def _visit(self, name: str) -> None:
        """Take what importing a module does, to it and to the packages it lies in."""
        parts = name.split(".")
        for depth in range(1, len(parts) + 1):
            above = ".".join(parts[:depth])
            module = self._module(above)
            if module is not None and self._is_new(above, ""):
                self._take(above, "", module.effects)

    def _whole(self, name: str) -> None:
        module = self._module(name)
        if module is None:
            return
        self._visit(name)
        if self._is_new(name, "*"):
            for symbol in [*module.definitions, *module.imports]:
                self._follow(name, symbol)
            for star in module.stars:
                self._resolve(star)
            self._take(name, "__main__", module.main)

    def _follow(self, name: str, path: str) -> bool:
        """Take what the dotted `path` means at the top level of a module; whether it means anything there."""
        module = self._module(name)
        symbol, _, rest = path.partition(".")
        if module is None:
            return False
        known = symbol in module.definitions or symbol in module.imports
        if not known:
            return any(self._follow(star, path) for star in module.stars)
        if self._is_new(name, path):
            self._visit(name)
            self._take(name, symbol, module.definitions.get(symbol, ()))
            for target in module.imports.get(symbol, ()):
                self.reached[f"{name}:{symbol} = {target}"] = ""
                self._resolve(f"{target}.{rest}" if rest else target)
        return True

    def _take(self, name: str, symbol: str, statements: Iterable[Statement]) -> None:
        for index, statement in enumerate(statements):
            where = f"{name}:{symbol}[{index}]"
            if where not in self.reached:
                self.reached[where] = statement.text
                for reference in statement.references:
                    self._refer(name, reference)

    def _refer(self, name: str, reference: Reference) -> None:
        if reference.absolute:
            self._resolve(reference.path)
        else:
            self._follow(name, reference.path)

    def _resolve(self, path: str) -> None:
        """Take an absolute dotted name: a module, or something in the module that its longest part names."""
        for name, rest in _splits(path):
            if self._module(name) is not None:
                self._visit(name)
                if rest:
                    self._follow(name, rest)
                else:
                    self._whole(name)
                return

    def _is_new(self, name: str, what: str) -> bool:
        new = (name, what) not in self._followed
        self._followed.add((name, what))
        return new


def _splits(path: str) -> Iterator[tuple[str, str]]:
    parts = path.split(".")
    for depth in range(len(parts), 0, -1):
        yield ".".join(parts[:depth]), ".".join(parts[depth:])
