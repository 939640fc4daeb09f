"""Read Python source without running it: what a module's top level binds, and what each statement refers to."""

import ast
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

_Function = ast.FunctionDef | ast.AsyncFunctionDef
_Comprehension = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp
_TypeParameter = ast.TypeVar | ast.TypeVarTuple | ast.ParamSpec
_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)
_WITHOUT_MEANING = frozenset({"ctx", "kind", "type_comment", "type_ignores"})


@dataclass(frozen=True)
class Reference:
    """A dotted name that a statement uses.

    Parameters
    ----------
    path
        `units.parse_bytes`: a name of the module's top level and attributes of it.
    absolute
        Whether `path` begins with a package instead, since the statement imports it itself.
    """

    path: str
    absolute: bool = False


class Statement:
    """One statement of a module's top level."""

    def __init__(self, node: ast.stmt, package: str) -> None:
        self._node = node
        self._package = package

    @cached_property
    def text(self) -> str:
        """The syntax tree as text; positions, comments and docstrings are not in it."""
        return _canonical(self._node)

    @cached_property
    def references(self) -> frozenset[Reference]:
        """What it refers to outside itself."""
        finder = _ReferenceFinder(self._package)
        finder.visit(self._node)
        return frozenset(finder.found)


@dataclass
class Module:
    """What a module's top level does.

    Parameters
    ----------
    definitions
        Name to the statements that bind it.
    imports
        Name to the absolute dotted names it may stand for.
    stars
        Modules all of whose names are imported.
    effects
        Statements that bind nothing, or do more than that: they run whenever the module is imported.
    main
        Those that run when the module is the program.
    """

    definitions: dict[str, list[Statement]] = field(default_factory=lambda: defaultdict(list))
    imports: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    stars: set[str] = field(default_factory=set)
    effects: list[Statement] = field(default_factory=list)
    main: list[Statement] = field(default_factory=list)


def read_module(source: str, package: str) -> Module:
    """Read the source of a module; `package` is the one it lies in (itself, for a package's `__init__`)."""
    module = Module()
    for node in _that_run(ast.parse(source).body):
        statement = Statement(node, package)
        if isinstance(node, ast.Import | ast.ImportFrom):
            for name, target in _imported(node, package):
                if name == "*":
                    module.stars.add(target)
                else:
                    module.imports[name].add(target)
        elif isinstance(node, ast.If) and ast.unparse(node.test) in (
            "__name__ == '__main__'",
            "'__main__' == __name__",
        ):
            module.main.append(statement)
        else:
            bound = dict(_bound([node], package))
            for name, stands_for in bound.items():
                module.definitions[name].append(statement)
                if stands_for is not None:
                    module.imports[name].add(stands_for)
            if not (bound and _only_binds(node)):
                module.effects.append(statement)
    return module


def _that_run(body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    """Leave out docstrings and what stands under `if TYPE_CHECKING`."""
    for node in body:
        if isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
            yield from _that_run(node.orelse)
        elif not _is_docstring(node):
            yield node


def _only_binds(node: ast.stmt) -> bool:
    if isinstance(node, ast.Assign):
        return all(isinstance(part, ast.Name | ast.Tuple | ast.List) for part in node.targets)
    if isinstance(node, ast.AnnAssign | ast.AugAssign):
        return isinstance(node.target, ast.Name)
    return isinstance(node, ast.TypeAlias | _Function | ast.ClassDef)


def _is_docstring(node: object) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _canonical(node: object) -> str:
    if isinstance(node, ast.AST):
        parts = [_canonical(getattr(node, name, None)) for name in node._fields if name not in _WITHOUT_MEANING]
        return f"{type(node).__name__}({','.join(parts)})"
    if isinstance(node, list):
        return f"[{','.join(_canonical(item) for item in node if not _is_docstring(item))}]"
    return repr(node)


def _imported(node: ast.Import | ast.ImportFrom, package: str) -> Iterator[tuple[str, str]]:
    """Names that an import binds, each with the absolute dotted name it stands for."""
    if isinstance(node, ast.Import):
        for alias in node.names:
            if alias.asname:
                yield alias.asname, alias.name
            else:
                yield alias.name.partition(".")[0], alias.name.partition(".")[0]
        return
    above = package.split(".")
    origin = ".".join([*above[: len(above) - node.level + 1], *([node.module] if node.module else [])])
    origin = origin if node.level else str(node.module)
    for alias in node.names:
        yield (alias.asname or alias.name), (origin if alias.name == "*" else f"{origin}.{alias.name}")


def _bound(nodes: Iterable[ast.AST], package: str) -> Iterator[tuple[str, str | None]]:
    """Names bound in a scope (not in those nested in it), with what they stand for if that is an import."""
    for node in nodes:
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield from _imported(node, package)
        elif isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            yield node.id, None
        elif isinstance(node, ast.ExceptHandler | ast.MatchAs | ast.MatchStar) and node.name:
            yield node.name, None
        elif isinstance(node, ast.MatchMapping) and node.rest:
            yield node.rest, None
        if isinstance(node, _SCOPES):
            if not isinstance(node, ast.Lambda):
                yield node.name, None
        elif isinstance(node, _Comprehension):
            # Its targets are its own; only `:=` binds outside.
            walruses = [part.target for part in ast.walk(node) if isinstance(part, ast.NamedExpr)]
            yield from _bound(walruses, package)
        else:
            yield from _bound(ast.iter_child_nodes(node), package)


class _ReferenceFinder(ast.NodeVisitor):
    """Collects names that no function scope around them binds; errs on the side of too many."""

    def __init__(self, package: str) -> None:
        self.found: set[Reference] = set()
        self._package = package
        self._scopes: list[Mapping[str, str | None]] = []

    def visit_Name(self, node: ast.Name) -> None:
        self._use([node.id])

    def visit_Attribute(self, node: ast.Attribute) -> None:
        attributes: list[str] = []
        inner: ast.expr = node
        while isinstance(inner, ast.Attribute):
            attributes.append(inner.attr)
            inner = inner.value
        if isinstance(inner, ast.Name):
            self._use([inner.id, *reversed(attributes)])
        else:
            self.visit(inner)

    def _use(self, chain: list[str]) -> None:
        for scope in reversed(self._scopes):
            if chain[0] in scope:
                target = scope[chain[0]]
                if target is not None:
                    self.found.add(Reference(".".join([target, *chain[1:]]), absolute=True))
                return
        self.found.add(Reference(".".join(chain)))

    def visit_FunctionDef(self, node: _Function) -> None:
        arguments = _arguments(node.args)
        for part in (*node.decorator_list, *node.args.defaults, *node.args.kw_defaults):
            if part is not None:
                self.visit(part)
        type_names = [part.name for part in node.type_params if isinstance(part, _TypeParameter)]
        annotations = [part for part in (*(argument.annotation for argument in arguments), node.returns) if part]
        self._inside(dict.fromkeys(type_names), [*node.type_params, *annotations])
        declared = {
            name for part in ast.walk(node) if isinstance(part, ast.Global | ast.Nonlocal) for name in part.names
        }
        bound: dict[str, str | None] = dict.fromkeys([*type_names, *(argument.arg for argument in arguments)])
        for name, target in _bound(node.body, self._package):
            if name not in declared:
                bound[name] = target or bound.get(name)
        self._inside(bound, node.body)

    visit_AsyncFunctionDef = visit_FunctionDef  # noqa: N815 (a name that NodeVisitor looks for)

    def visit_Lambda(self, node: ast.Lambda) -> None:
        for part in (*node.args.defaults, *node.args.kw_defaults):
            if part is not None:
                self.visit(part)
        self._inside({part.arg: None for part in _arguments(node.args)}, [node.body])

    def visit_ListComp(self, node: _Comprehension) -> None:
        first = node.generators[0]
        self.visit(first.iter)
        targets = dict.fromkeys(name for part in node.generators for name, _ in _bound([part.target], self._package))
        elements = [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]
        rest = [part for generator in node.generators for part in (generator.iter, *generator.ifs)]
        self._inside(targets, [*elements, *(part for part in rest if part is not first.iter)])

    visit_SetComp = visit_DictComp = visit_GeneratorExp = visit_ListComp  # noqa: N815

    def _inside(self, scope: Mapping[str, str | None], nodes: Iterable[ast.AST]) -> None:
        self._scopes.append(scope)
        for node in nodes:
            self.visit(node)
        self._scopes.pop()


def _arguments(arguments: ast.arguments) -> list[ast.arg]:
    stars = [part for part in (arguments.vararg, arguments.kwarg) if part]
    return [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, *stars]
