"""The digest of the code that can affect a job's result.

A job's closure is every module of this package that its stage and its plug-ins import, directly or not, with the
`__init__` of each parent. Infrastructure modules (`NEUTRAL`) are excluded; a
test keeps numerics out of them. The digest is taken over syntax trees without docstrings, comments and
annotations, so that edits of these make nothing stale.
"""

import ast
import contextlib
import functools
import hashlib
import json
import os
from pathlib import Path
from typing import Any

import grimp

import robust3d
from robust3d.files import write_text

_NEUTRAL = "cli command_line errors files loading named parsing progress provenance registry scratch study workflow"
NEUTRAL = tuple(f"robust3d.{name}" for name in _NEUTRAL.split())
SOURCE = Path(robust3d.__file__).parent
_MOST_KEPT = 5_000  # file versions in the cache
_SKIPPED_FIELDS = {"annotation", "returns", "type_comment", "type_params", "kind", "type_ignores"}
_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def is_neutral(module: str) -> bool:
    """Whether a module is infrastructure without numerics, outside of closures."""
    return module == "robust3d" or any(module == n or module.startswith(n + ".") for n in NEUTRAL)


def module_file(module: str) -> Path:
    """The source file of a module of this package."""
    path = SOURCE.joinpath(*module.split(".")[1:])
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


@functools.cache
def _graph() -> grimp.ImportGraph:
    return grimp.build_graph("robust3d", cache_dir=None, exclude_type_checking_imports=True)


@functools.cache
def closure(roots: tuple[str, ...]) -> tuple[str, ...]:
    """All modules that `roots` import, with themselves and their parent packages, neutral ones left out."""
    graph = _graph()
    reached: set[str] = set()
    pending = list(roots)
    while pending:
        module = pending.pop()
        if module in reached or is_neutral(module):
            continue
        reached.add(module)
        pending.append(module.rpartition(".")[0])
        pending.extend(graph.find_modules_directly_imported_by(module))
    return tuple(sorted(reached))


def _canonical(node: ast.AST) -> str:
    """A syntax tree as text: the same on every Python version."""
    parts = []
    for name, value in ast.iter_fields(node):
        if name in _SKIPPED_FIELDS or value is None or value == []:
            continue
        items = value if isinstance(value, list) else [value]
        if name == "body" and isinstance(node, _DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
            items = items[1:]
        if isinstance(node, ast.JoinedStr):  # Python 3.12 adds an empty text at the end of a computed format
            items = [item for item in items if not (isinstance(item, ast.Constant) and item.value == "")]
        texts = [_canonical(item) if isinstance(item, ast.AST) else repr(item) for item in items]
        parts.append(f"{name}=[{','.join(texts)}]")
    return f"{type(node).__name__}({';'.join(parts)})"


@functools.cache
def source(path: Path) -> bytes:
    """What a file holds, read once: what is checked, recorded and run is the same, also of a file that is edited."""
    return path.read_bytes()


@functools.cache
def file_digest(path: Path) -> str:
    """sha256 of a Python file's syntax tree, without docstrings, comments and layout."""
    return _meaning(source(path), path)


def _meaning(content: bytes, path: Path) -> str:
    return hashlib.sha256(_canonical(ast.parse(content, filename=str(path))).encode()).hexdigest()


def known_digests() -> Path:
    """Path of the cache of `file_digest` by file content, for this version of the function; it may be deleted."""
    folder = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(folder, "robust3d", f"code-{hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:12]}.json")


class Meanings:
    """Cache of `file_digest` by content: planning needs hundreds of digests at every start.

    Job processes do not use it, but read the code that they run: a damaged cache can stop jobs, but not misname them.
    """

    def __init__(self, path: Path) -> None:
        self.path, self._is_new = path, False
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            self.known = {str(content): str(meaning) for content, meaning in found.items()}
        except (OSError, ValueError, AttributeError):  # no cache yet, or unreadable
            self.known = {}

    def of(self, path: Path) -> str:
        """`file_digest` of a file."""
        content = path.read_bytes()  # once: a file that is edited meanwhile must not enter under its old content
        key = hashlib.sha256(content).hexdigest()
        if key not in self.known:
            self.known[key], self._is_new = _meaning(content, path), True
        return self.known[key]

    def keep(self) -> None:
        """Save new digests; if that fails they are computed again the next time."""
        if self._is_new:
            self._is_new = False
            with contextlib.suppress(OSError):
                self.path.parent.mkdir(parents=True, exist_ok=True)
                newest = list(self.known.items())[-_MOST_KEPT:]
                write_text(self.path, json.dumps(dict(newest), indent=0))


@functools.cache
def _meanings() -> Meanings:
    return Meanings(known_digests())


@functools.cache
def parts(path: Path) -> dict[str, str]:
    """Short digests of a file's functions, methods and remaining statements, by qualified name.

    They allow naming the function of a module that changed; only `file_digest` decides.
    """
    found: dict[str, list[str]] = {}

    def visit(body: list[ast.stmt], prefix: str) -> None:
        for node in body:
            if isinstance(node, ast.ClassDef):
                visit(node.body, f"{prefix}{node.name}.")
                head = [*node.decorator_list, *node.bases, *node.keywords]
                found.setdefault(f"{prefix}{node.name}", []).extend(_canonical(part) for part in head)
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                found.setdefault(f"{prefix}{node.name}", []).append(_canonical(node))
            elif not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)):
                found.setdefault(f"{prefix}{_target(node)}", []).append(_canonical(node))

    visit(ast.parse(source(path), filename=str(path)).body, "")
    return {name: hashlib.sha256("\n".join(texts).encode()).hexdigest()[:12] for name, texts in found.items()}


def _target(node: ast.stmt) -> str:
    """The name that an assignment binds; one common name for all other statements."""
    target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
    return target.id if isinstance(target, ast.Name) else "(imports and statements)"


@functools.cache
def closure_digest(roots: tuple[str, ...]) -> str:
    """sha256 over the closure's modules and their `file_digest`, without the cache."""
    return _digest({module: file_digest(module_file(module)) for module in closure(roots)})


@functools.cache
def planned_digest(roots: tuple[str, ...]) -> str:
    """The same from the cache."""
    found = _digest({module: _meanings().of(module_file(module)) for module in closure(roots)})
    _meanings().keep()
    return found


def _digest(meanings: dict[str, str]) -> str:
    lines = "".join(f"{module} {meaning}\n" for module, meaning in meanings.items())
    return hashlib.sha256(lines.encode()).hexdigest()


def describe(roots: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    """The closure for records: each module's file, sha256, `file_digest` and parts."""
    return {
        module: {
            "file": str(path.relative_to(SOURCE.parent.parent)),
            "sha256": hashlib.sha256(source(path)).hexdigest(),
            "meaning": file_digest(path),
            "parts": parts(path),
        }
        for module in closure(roots)
        for path in [module_file(module)]
    }
