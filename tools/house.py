"""Print the figures of the house: sizes, circles, imports that run back up, ``Any``, lengths of functions.

``python tools/house.py`` reads ``tais/`` of this checkout, ``--rev REV`` that of a revision (so that before
and after can be compared), ``--json`` prints one JSON object. Only the standard library is needed. Lines are
physical lines. Imports are read from the syntax tree, those inside functions and below ``TYPE_CHECKING`` too.
"""

from __future__ import annotations

import argparse
import ast
import io
import json
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
PACKAGE: Final = "tais"
LONG_FUNCTION: Final = 40
LONG_FILE: Final = 450

Statement = ast.Import | ast.ImportFrom
Graph = dict[str, set[str]]
Figures = dict[str, int | float | None]


@dataclass(frozen=True, slots=True)
class Import:
    """One module of the package that a statement imports."""

    source: str
    target: str
    nested: bool


@dataclass(frozen=True, slots=True)
class Module:
    """One Python file of the package."""

    name: str
    package: bool
    lines: int
    tree: ast.Module


def main(arguments: list[str] | None = None) -> int:
    """Print the figures of one tree."""
    parser = argparse.ArgumentParser(description="Figures of the package tais.")
    parser.add_argument("--rev", help="a revision of this repository; the checkout without it")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args(arguments)
    figures = figures_of_revision(options.rev) if options.rev else house(ROOT)
    print(json.dumps(figures, indent=1) if options.json else table(figures))
    return 0


def figures_of_revision(revision: str) -> Figures:
    """Return the figures of a revision, unpacked into a folder that goes away."""
    command = ["git", "-C", str(ROOT), "archive", revision, PACKAGE, "pyproject.toml"]
    archive = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
    with tempfile.TemporaryDirectory() as folder, tarfile.open(fileobj=io.BytesIO(archive)) as packed:
        packed.extractall(folder, filter="data")
        return house(Path(folder))


def house(root: Path) -> Figures:
    """Return the figures of the package below a folder, by name, in the order in which they are shown."""
    modules = read_modules(root)
    found = [edge for module in modules.values() for edge in imports(module, modules)]
    layers = road(root / "pyproject.toml")
    return {
        **sizes(root, modules),
        **arrows(found),
        "imports that run back up": len(upward(found, layers)) if layers else None,
        **inside_functions(modules),
        **any_figures(modules),
        **function_figures(modules),
    }


def table(figures: Figures) -> str:
    """Return one line per figure."""
    width = max(map(len, figures))
    shown = {name: "-" if value is None else f"{value:,}" for name, value in figures.items()}
    return "\n".join(f"{name:<{width}}  {text:>8}" for name, text in shown.items())


def read_modules(root: Path) -> dict[str, Module]:
    """Return all modules of the package by dotted name."""
    return {
        module.name: module
        for path in sorted((root / PACKAGE).rglob("*.py"))
        for module in [read_module(path, path.relative_to(root))]
    }


def read_module(path: Path, relative: Path) -> Module:
    """Return one file, parsed."""
    text = path.read_text(encoding="utf-8")
    parts = relative.with_suffix("").parts
    package = parts[-1] == "__init__"
    name = ".".join(parts[:-1] if package else parts)
    return Module(name, package, len(text.splitlines()), ast.parse(text))


def imports(module: Module, modules: Mapping[str, Module]) -> list[Import]:
    """Return what a module imports of the package, one entry per imported module and statement."""
    found = []
    for node, nested in import_statements(module.tree):
        for target in sorted(targets(node, module, modules) - {module.name}):
            found.append(Import(module.name, target, nested))
    return found


def import_statements(tree: ast.AST, nested: bool = False) -> Iterator[tuple[Statement, bool]]:
    """Yield every import statement and whether a function encloses it."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, Statement):
            yield node, nested
        inside = nested or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        yield from import_statements(node, inside)


def targets(node: Statement, module: Module, modules: Mapping[str, Module]) -> set[str]:
    """Return the modules of the package that a statement names."""
    if isinstance(node, ast.Import):
        return {name for alias in node.names if (name := alias.name) in modules}
    base = node.module or ""
    if node.level:
        parts = module.name.split(".")
        above = parts[: len(parts) - node.level + module.package]
        base = ".".join([*above, *filter(None, [node.module])])
    # ``from a import b`` names the module a.b where there is one, else a definition in a.
    named = {name if (name := f"{base}.{alias.name}") in modules else base for alias in node.names}
    return named & modules.keys()


def inside_functions(modules: Mapping[str, Module]) -> Figures:
    """Count the import statements inside functions: those of the package, and those of other packages."""
    own = [
        bool(targets(node, module, modules))
        for module in modules.values()
        for node, nested in import_statements(module.tree)
        if nested
    ]
    return {
        f"imports of {PACKAGE} inside functions": sum(own),
        "imports of other packages inside functions": len(own) - sum(own),
    }


def room(name: str) -> str:
    """Return the room of a module: the folder or the file directly under the package."""
    return name.split(".")[1] if "." in name else name


def sizes(root: Path, modules: Mapping[str, Module]) -> Figures:
    """Count files, lines and rooms."""
    return {
        "files": len(modules),
        "lines": sum(module.lines for module in modules.values()),
        f"files over {LONG_FILE} lines": sum(module.lines > LONG_FILE for module in modules.values()),
        "rooms": len({name.split(".")[1] for name, module in modules.items() if is_in_folder(name, module)}),
        f"Python files directly under {PACKAGE}/": len(list((root / PACKAGE).glob("*.py"))),
    }


def is_in_folder(name: str, module: Module) -> bool:
    """Return whether a module lies in a folder of the package."""
    return name.count(".") > 1 or (module.package and name.count(".") == 1)


def arrows(found: Iterable[Import]) -> Figures:
    """Count circles of modules and of rooms, arrows between rooms, and floors."""
    modules, rooms = graph((edge.source, edge.target) for edge in found), room_graph(found)
    return {
        "circles of modules": len(circles(modules)),
        "modules in circles": sum(map(len, circles(modules))),
        "arrows between rooms": sum(map(len, rooms.values())),
        "rooms in circles": sum(map(len, circles(rooms))),
        "floors": floors(rooms),
    }


def room_graph(found: Iterable[Import]) -> Graph:
    """Return which room imports which; the package itself (its few exported names) is no room."""
    pairs = ((room(edge.source), room(edge.target)) for edge in found)
    return graph(pair for pair in pairs if pair[0] != pair[1] and PACKAGE not in pair)


def graph(edges: Iterable[tuple[str, str]]) -> Graph:
    """Return successors by name; every name is a key."""
    made: Graph = defaultdict(set)
    for source, target in edges:
        made[source].add(target)
        made.setdefault(target, set())
    return dict(made)


def circles(successors: Graph) -> list[set[str]]:
    """Return the groups of more than one name in which each reaches each."""
    return [group for group in components(successors) if len(group) > 1]


def components(successors: Graph) -> list[set[str]]:
    """Return the strongly connected components, those that import nothing first.

    References
    ----------
    Sharir (1981), Computers & Mathematics with Applications 7, 67-72 (Kosaraju's algorithm).
    """
    backward = graph((target, source) for source, reached in successors.items() for target in reached)
    seen: set[str] = set()
    found = []
    # Run over the reversed graph, last finished first: what is then reached forward is one component.
    for name in reversed(finished({name: backward.get(name, set()) for name in sorted(successors)})):
        if name not in seen:
            group = reach(name, successors, seen)
            seen |= group
            found.append(group)
    return found


def finished(successors: Graph) -> list[str]:
    """Return all names in the order in which a depth-first search leaves them."""
    order: list[str] = []
    seen: set[str] = set()
    for start in successors:
        stack = [(start, iter(sorted(successors[start])))] if start not in seen else []
        seen.add(start)
        while stack:
            name, rest = stack[-1]
            following = next((other for other in rest if other not in seen), None)
            if following is None:
                order.append(name)
                stack.pop()
            else:
                seen.add(following)
                stack.append((following, iter(sorted(successors[following]))))
    return order


def reach(start: str, successors: Graph, closed: set[str]) -> set[str]:
    """Return what a name reaches without passing closed names."""
    group, waiting = {start}, [start]
    while waiting:
        fresh = successors[waiting.pop()] - closed - group
        group |= fresh
        waiting.extend(fresh)
    return group


def floors(rooms: Graph) -> int:
    """Return the length of the longest chain of rooms; rooms of one circle stand on one floor."""
    height: dict[str, int] = {}
    for group in components(rooms):
        below = {target for name in group for target in rooms[name]} - group
        height |= dict.fromkeys(group, 1 + max((height[name] for name in below), default=0))
    return max(height.values(), default=0)


def road(config: Path) -> list[set[str]]:
    """Return the layers of the whole package, highest first; none where no contract says them."""
    tool = tomllib.loads(config.read_text(encoding="utf-8")).get("tool", {})
    for contract in tool.get("importlinter", {}).get("contracts", []):
        if contract["type"] == "layers" and contract.get("containers") == [PACKAGE]:
            return [{name.strip(" ()") for name in layer.split("|")} for layer in contract["layers"]]
    return []


def upward(found: Iterable[Import], layers: list[set[str]]) -> list[Import]:
    """Return the imports between rooms that run up the road, or across a floor of it."""
    depth = {name: place for place, layer in enumerate(layers) for name in layer}
    return [
        edge
        for edge in found
        for source, target in [(room(edge.source), room(edge.target))]
        if source != target and source in depth and target in depth and depth[source] >= depth[target]
    ]


def any_figures(modules: Mapping[str, Module]) -> Figures:
    """Count the places that say ``Any``, their import aside."""
    count = sum(is_any(node) for module in modules.values() for node in ast.walk(module.tree))
    lines = sum(module.lines for module in modules.values())
    return {"Any": count, "Any per 1,000 lines": round(1000 * count / lines, 2)}


def is_any(node: ast.AST) -> bool:
    """Return whether a node is the name ``Any``."""
    return (isinstance(node, ast.Name) and node.id == "Any") or (
        isinstance(node, ast.Attribute) and node.attr == "Any"
    )


def function_figures(modules: Mapping[str, Module]) -> Figures:
    """Return how long functions are, from ``def`` to their last line; docstrings count, decorators do not."""
    lengths = [
        (node.end_lineno or node.lineno) - node.lineno + 1
        for module in modules.values()
        for node in ast.walk(module.tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    return {
        "functions": len(lengths),
        "lines of a function, mean": round(sum(lengths) / max(1, len(lengths)), 1),
        "lines of a function, longest": max(lengths, default=0),
        f"functions over {LONG_FUNCTION} lines": sum(length > LONG_FUNCTION for length in lengths),
    }


if __name__ == "__main__":
    sys.exit(main())
