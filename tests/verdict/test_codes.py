"""The closed vocabulary of reasons: the table holds every code of the source, and the page follows it."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tais.gate.codes import OBJECTIONS
from tais.gate.policy import Policy
from tais.verdict.codes import CODES, check_code
from tests.conftest import ROOT

BUILDERS = {"reason", "note", "Finding", "Reason"}
ROOMS = ("verdict", "analysis", "adjudication")
"""The rooms that put reasons into a report; elsewhere ``note`` is another function."""


def codes_of(tree: ast.Module, file: str = "x.py") -> Iterator[str]:
    """Yield the literal codes that a module builds reasons with; a code that is put together is refused."""
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        names = {node.id for node in ast.walk(call.func) if isinstance(node, ast.Name)}
        if not BUILDERS & names or isinstance(call.func, ast.Attribute):
            continue
        around = _around(call, tree)
        if isinstance(around, ast.FunctionDef) and around.name in BUILDERS:
            continue  # their callers give the code
        given = [*call.args[:1], *(word.value for word in call.keywords if word.arg == "code")]
        assert given, f"{file}:{call.lineno}: no code"
        yield from _literals(given[0], tree, around, f"{file}:{call.lineno}")


def _around(call: ast.Call, tree: ast.Module) -> ast.AST:
    """Return the innermost function that holds a call, else the module."""
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    holding = [node for node in functions if any(inner is call for inner in ast.walk(node))]
    return min(holding, key=lambda node: sum(1 for _ in ast.walk(node)), default=tree)


def _literals(value: ast.expr, tree: ast.Module, around: ast.AST, where: str) -> Iterator[str]:
    match value:
        case ast.Constant(value=str(code)):
            yield code
        case ast.IfExp(body=one, orelse=other):
            yield from _literals(one, tree, around, where)
            yield from _literals(other, tree, around, where)
        case ast.Subscript(value=ast.Name(id=table)):
            yield from _assigned(table, tree, where)
        case ast.Name(id=name):
            yield from _assigned(name, around, where)
        case ast.Attribute(attr="code"):
            pass  # of a finding, which was built from a literal
        case _:
            raise AssertionError(f"{where}: write the code out, so that this test can find it")


def _assigned(name: str, tree: ast.AST, where: str) -> Iterator[str]:
    """Yield the string constants that a name is given in a function or a module."""
    found = [
        code
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        for code in _value_for(name, target, node.value)
    ]
    assert found, f"{where}: write the code out, so that this test can find it"
    yield from found


def _value_for(name: str, target: ast.expr, value: ast.expr) -> Iterator[str]:
    if isinstance(target, ast.Name) and target.id == name:
        parts = value.values if isinstance(value, ast.Dict) else [value]
        for part in parts:
            constants = (node.value for node in ast.walk(part) if isinstance(node, ast.Constant))
            yield from (value for value in constants if isinstance(value, str))
    elif isinstance(target, ast.Tuple):
        place = [isinstance(t, ast.Name) and t.id == name for t in target.elts]
        sides = [value.body, value.orelse] if isinstance(value, ast.IfExp) else [value]
        if any(place):
            for side in sides:
                assert isinstance(side, ast.Tuple)
                yield from _value_for(name, target.elts[place.index(True)], side.elts[place.index(True)])


def emitted() -> dict[str, str]:
    """Return every literal code of the source, with a place where it is said."""
    found = {}
    for path in sorted(p for room in ROOMS for p in (ROOT / "tais" / room).rglob("*.py")):
        for code in codes_of(ast.parse(path.read_text()), str(path)):
            found[code] = str(path)
    return found


def test_every_code_of_the_source_stands_in_the_table() -> None:
    found = emitted()
    assert {code: file for code, file in found.items() if code not in CODES} == {}


def test_every_code_of_the_table_is_said_somewhere() -> None:
    assert CODES.keys() - emitted().keys() - {"same_evidence"} == set()


def test_the_objections_of_the_gate_are_those_of_its_table() -> None:
    trees = [ast.parse(path.read_text()) for path in (ROOT / "tais" / "gate").glob("*.py")]
    calls = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Call)]
    raised = [c.args[0] for c in calls if isinstance(c.func, ast.Name) and c.func.id == "Objection"]
    assert {code.value for code in raised if isinstance(code, ast.Constant)} == OBJECTIONS.keys()
    assert all(isinstance(code, ast.Constant) for code in raised)


def test_the_policy_keys_of_objections_are_those_of_the_policy() -> None:
    named = {key for code in OBJECTIONS.values() for key in code.key.split(", ") if key}
    assert named <= Policy.model_fields.keys()
    assert [n for n, c in OBJECTIONS.items() if c.shuts == "policy" and not c.key] == []


def test_findings_are_built_in_no_other_room() -> None:
    """Else the walk above would miss them."""
    for path in (ROOT / "tais").rglob("*.py"):
        if path.relative_to(ROOT / "tais").parts[0] not in ROOMS:
            assert "Finding(" not in path.read_text().replace("class Finding(", ""), path


@pytest.mark.parametrize(
    ("source", "codes"),
    [
        ("reason('a', m)", ["a"]),
        ("Finding(code='a', message=m)", ["a"]),
        ("(reason if fails else note)('a', m)", ["a"]),
        ("reason('a' if x else 'b', m)", ["a", "b"]),
        ("word, code = ('w', 'a') if x else ('v', 'b')\nreason(code, m)", ["a", "b"]),
        ("TABLE = {1: 'a', 2: 'b'}\nnote(TABLE[x], m)", ["a", "b"]),
        ("self.note('anything')", []),
        ("Reason(code=finding.code)", []),
    ],
)
def test_the_walk_finds_codes_as_they_are_written(source: str, codes: list[str]) -> None:
    assert list(codes_of(ast.parse(source))) == codes


@pytest.mark.parametrize(
    "source",
    [
        "reason(f'screen_{x}', m)",
        "note('a' + b, m)",
        "reason(unknown, m)",
        "def f(code):\n    reason(code, m)",
    ],
)
def test_a_code_that_is_put_together_is_refused(source: str) -> None:
    with pytest.raises(AssertionError, match="write the code out"):
        list(codes_of(ast.parse(source)))


def test_what_stops_a_pass_says_what_to_do() -> None:
    assert [n for n, c in CODES.items() if c.says in ("fails", "blocks") and not c.remedy] == []
    assert [n for n, c in CODES.items() if not c.meaning.endswith(".") or c.remedy.endswith(".")] == []


def test_suspect_drills_and_copies_may_never_be_allowed() -> None:
    never = {name for name, code in CODES.items() if code.never_allowed}
    assert never == {"suspect", "drill", "drill_fault", "same_answers", "same_evidence"}
    assert not any(CODES[name].allowable for name in never)


def test_a_code_that_is_not_known_names_the_nearest() -> None:
    assert check_code("interval_crosses_margin") == "interval_crosses_margin"
    with pytest.raises(ValueError, match="Did you mean 'interval_crosses_margin'"):
        check_code("interval_crosses_margins")
    with pytest.raises(ValueError, match=r"See docs/codes\.md"):
        check_code("zzz")


def test_the_page_of_codes_is_made_from_the_table() -> None:
    tool = [sys.executable, str(Path("tools") / "tables" / "codes.py"), "--check"]
    done = subprocess.run(tool, cwd=ROOT, env={"PYTHONPATH": str(ROOT), "PATH": ""}, check=False)
    assert done.returncode == 0, "run python tools/tables/codes.py"
