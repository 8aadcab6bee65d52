"""The house: rooms in an order, imports that point only down it, no circles of files, every interface name listed."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import pytest

import symflow as sf

PACKAGE = Path(sf.__file__).parent

ROOMS = (
    ("caching", "displays", "errors", "files", "versions"),
    ("numbers",),
    ("progress",),
    ("programs",),
    ("networks",),
    ("derivatives",),
    ("dynamics",),
    ("evaluate",),
    ("problem",),
    ("theory",),
    ("paths",),
    ("certificate", "proofs"),
    ("analysis",),
    ("latex",),
    ("plots",),
    ("report",),
    ("cli",),
    ("__main__",),
)
"""From the ground up; what stands in one row may import what is in the same row or in an earlier one."""
FLOOR = {room: floor for floor, rooms in enumerate(ROOMS) for room in rooms}


@cache
def sources(package: Path) -> Mapping[str, str]:
    """The text of every module below a package, by its dotted name."""
    found = {}
    for path in package.rglob("*.py"):
        parts = [package.name, *path.relative_to(package).with_suffix("").parts]
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path.read_text(encoding="utf-8")
    return found


def statements(text: str) -> Iterator[ast.AST]:
    """Every statement of a file, in classes, functions and branches too; what they consist of is not looked through."""
    waiting: list[ast.AST] = [ast.parse(text)]
    while waiting:
        node = waiting.pop()
        yield node
        for part in ("body", "orelse", "handlers", "cases", "finalbody"):
            waiting += getattr(node, part, ())


def imports(module: str, text: str, known: Mapping[str, str], is_package: bool) -> Iterator[tuple[str, int]]:
    """What a module imports of its own package, anywhere in it: at the top, in functions, relative, for types only."""
    root = module.partition(".")[0]
    for node in statements(text):
        if isinstance(node, ast.Import):
            yield from ((a.name, node.lineno) for a in node.names if a.name.partition(".")[0] == root)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = module.split(".") if is_package else module.split(".")[:-1]
                base = ".".join([*parents[: len(parents) + 1 - node.level], *filter(None, [base])])
            if base.partition(".")[0] == root:
                for a in node.names:
                    yield (f"{base}.{a.name}" if f"{base}.{a.name}" in known else base), node.lineno


@cache
def graph(package: Path) -> dict[str, set[tuple[str, int]]]:
    """Module -> what it imports, with the lines."""
    texts = sources(package)
    inits = {".".join([package.name, *p.relative_to(package).parts[:-1]]) for p in package.rglob("__init__.py")}
    return {m: set(imports(m, text, texts, m in inits)) for m, text in texts.items()}


def upward(found: Mapping[str, set[tuple[str, int]]], root: str) -> list[str]:
    """Imports that point to a higher floor, or to the package itself."""
    wrong = []
    for module, targets in found.items():
        if module == root:
            continue
        for target, line in targets:
            if target == root or FLOOR[target.split(".")[1]] > FLOOR[module.split(".")[1]]:
                wrong.append(f"{module}:{line} imports {target}")
    return sorted(wrong)


def circles(found: Mapping[str, set[tuple[str, int]]]) -> list[list[str]]:
    """Sets of modules that import each other, over whatever way (Tarjan)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    result = []

    def visit(module: str) -> None:
        index[module] = low[module] = len(index)
        stack.append(module)
        for target, _ in found.get(module, ()):
            if target not in index:
                visit(target)
                low[module] = min(low[module], low[target])
            elif target in stack:
                low[module] = min(low[module], index[target])
        if low[module] == index[module]:
            at = stack.index(module)
            if len(stack) - at > 1:
                result.append(sorted(stack[at:]))
            del stack[at:]

    for module in found:
        if module not in index:
            visit(module)
    return result


def test_every_room_has_a_floor() -> None:
    rooms = {m.split(".")[1] for m in sources(PACKAGE) if "." in m}
    assert rooms == set(FLOOR)


def test_imports_point_down() -> None:
    assert upward(graph(PACKAGE), "symflow") == []


def test_no_circles() -> None:
    assert circles(graph(PACKAGE)) == []


@pytest.mark.parametrize(
    "line",
    [
        "import symflow.cli.app",
        "from symflow import latex",
        "def f():\n    from symflow.latex import derived_latex",
        "from ..latex import layout",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from symflow.report.report import text",
        "import symflow",
    ],
)
def test_an_import_that_points_up_is_seen(line: str) -> None:
    texts = sources(PACKAGE)
    found = {"symflow.paths.flow": set(imports("symflow.paths.flow", line, texts, False))}
    assert len(upward(found, "symflow")) == 1


def test_a_circle_is_seen() -> None:
    found = {"a": {("b", 1)}, "b": {("c", 1)}, "c": {("a", 1)}, "d": {("a", 1)}}
    assert circles(found) == [["a", "b", "c"]]


# ---- size ---------------------------------------------------------------------------------------------------------

LONGEST_FILE, LONGEST_FUNCTION = 400, 60
WRITTEN = ("derivations", "docs", "examples", "tests")
"""What is next to the package, and read as it is."""
EXCUSE = "# Long: "
"""How a comment begins that says why a file (at its top) or a function (in its body) is longer."""


def too_long(name: str, text: str) -> list[str]:
    """The file, and its functions (their docstrings apart), that are longer than they may be and do not say why."""
    lines = text.splitlines()
    found = []
    if len(lines) > LONGEST_FILE and not any(line.startswith(EXCUSE) for line in lines[:20]):
        found.append(f"{name}: {len(lines)} lines")
    for node in statements(text) if len(lines) > LONGEST_FUNCTION else ():
        if isinstance(node, ast.FunctionDef) and node.end_lineno is not None:
            body = lines[node.lineno - 1 : node.end_lineno]
            first = node.body[0]
            if ast.get_docstring(node) is not None and first.end_lineno is not None:
                del body[first.lineno - node.lineno : first.end_lineno - node.lineno + 1]
            if len(body) > LONGEST_FUNCTION and not any(line.strip().startswith(EXCUSE) for line in body):
                found.append(f"{name}: {node.name} has {len(body)} lines")
    return found


def test_files_and_functions_are_short_or_say_why() -> None:
    texts = dict(sources(PACKAGE))
    for folder in WRITTEN:
        texts |= {str(p): p.read_text(encoding="utf-8") for p in (PACKAGE.parent / folder).rglob("*.py")}
    assert [line for name, text in texts.items() for line in too_long(name, text)] == []


def test_what_is_too_long_is_seen() -> None:
    function = "def f():\n" + 60 * "    pass\n"
    assert too_long("m", function) == ["m: f has 61 lines"]
    assert too_long("m", function.replace("    pass", f"    {EXCUSE}one case a line", 1)) == []
    documented = 'def f():\n    """One.\n\n    Two.\n    """\n' + 59 * "    pass\n"
    assert too_long("m", documented) == []
    assert too_long("m", 401 * "x = 1\n") == ["m: 401 lines"]
