from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field

from tais.common.document import Document, dotted, show, suggest
from tais.common.yaml12 import load, loads, validate
from tais.errors import ManifestError
from tests.support import examples

STRINGS = """
no yes on off Y n NO 0123456 0123.5 1_000 12:30:45 190:20:30 2024-01-02 2024-01-02T03:04:05Z 0b101 0o8 -0x1F
0xZZ 1e . + +.nan tRue nuLL = \u0661\u0662 1.2.3 1-000 '1' "true"
"""


@pytest.mark.parametrize("text", STRINGS.split())
def test_strings_stay_strings(text: str) -> None:
    assert loads(f"key: {text}").data == {"key": text.strip("'\"")}


# YAML 1.2.2, section 10.3.2: the table of the core schema.
SCALARS = (
    ("null Null NULL ~ !!null", [None] * 5),
    ("true False TRUE", [True, False, True]),
    ("0 -1 +12 0o14 0xfF !!int~12", [0, -1, 12, 12, 255, 12]),
    ("0. .5 -.5 1e3 +12e-1 6.02E+23", [0.0, 0.5, -0.5, 1000.0, 1.2, 6.02e23]),
    (".inf -.Inf !!float~12", [math.inf, -math.inf, 12.0]),
    ("!!str~12 !!str~true !!seq~[1] !!map~{}", ["12", "true", [1], {}]),
)


@pytest.mark.parametrize(
    ("text", "value"),
    # "~" stands for a space here, but where it is a scalar of its own.
    [
        (text if text == "~" else text.replace("~", " "), value)
        for texts, values in SCALARS
        for text, value in zip(texts.split(), values, strict=True)
    ],
)
def test_scalars_follow_the_core_schema(text: str, value: object) -> None:
    read = loads(f"key: {text}").data["key"]
    assert (read, type(read)) == (value, type(value))


def test_nan_is_read_as_nan() -> None:
    assert math.isnan(loads(".nan").data)


def test_a_directive_for_yaml_1_1_changes_nothing() -> None:
    assert loads("%YAML 1.1\n---\nkey: no\nother: 0123").data == {"key": "no", "other": "0123"}


def test_byte_order_mark_and_windows_line_ends_are_read(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_bytes(b"\xef\xbb\xbfa: 1\r\nb: 2\r\n")
    document = load(tmp_path / "a.yaml")
    assert (document.data, document.line(("b",))) == ({"a": 1, "b": 2}, 2)


def test_lines_are_those_of_keys_and_items() -> None:
    document = loads("a:\n  b:\n    1\n  c:\n    - x\n    - {d: 1,\n       e: 2}\n")
    lines = {dotted(path): line for path, line in document.lines.items()}
    assert lines == {
        "": 1,
        "a": 1,
        "a.b": 2,
        "a.c": 4,
        "a.c[0]": 5,
        "a.c[1]": 6,
        "a.c[1].d": 6,
        "a.c[1].e": 7,
    }


def test_a_missing_key_has_the_line_of_what_lacks_it() -> None:
    document = loads("a:\n  b: 1\nc: 2\n", "x.yaml")
    assert document.line(("c", "d", 3)) == 3
    assert str(document.place(("c", "d", 3))) == "c.d[3] (x.yaml:3)"


def test_an_empty_text_is_nothing_on_line_1() -> None:
    assert loads("# only a comment\n") == Document(None, {(): 1}, None)


def test_aliases_share_text_but_not_data() -> None:
    data = loads("a: &x {k: [1]}\nb: *x\n").data
    data["a"]["k"].append(2)
    assert data["b"] == {"k": [1]}


def test_a_quoted_merge_key_is_a_key() -> None:
    assert loads('"<<": 1').data == {"<<": 1}


def test_an_anchor_may_be_given_again() -> None:
    assert loads("- &a 1\n- &a 2\n- *a\n").data == [1, 2, 2]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "x.yaml: cannot read the file: No such file or directory"),
        (b"#" * 1_000_001, "x.yaml: the file is larger than 1000000 bytes"),
        (b"a: 1\nb: \xff\n", "x.yaml:2: not valid UTF-8. Save the file as UTF-8"),
    ],
)
def test_a_file_that_cannot_be_read_says_so(
    content: bytes | None, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    if content is not None:
        Path("x.yaml").write_bytes(content)
    with pytest.raises(ManifestError) as caught:
        load("x.yaml")
    assert str(caught.value) == message


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="cannot read the file: Is a directory"):
        load(tmp_path)


def test_a_wide_list_is_refused_at_its_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tais.common.yaml12.MAX_VALUES", 10)
    with pytest.raises(ManifestError) as caught:
        loads("[" + "1," * 10 + "]", "x.yaml")
    assert str(caught.value) == "[9] (x.yaml:1): more than 10 values once aliases are expanded"


# Expanded, it would be 2**60 values: only a reader that does not expand it ends at all.
@pytest.mark.timeout(60)
def test_an_alias_bomb_is_refused_unexpanded() -> None:
    bomb = "a0: &a0 [x, x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]\n" for i in range(1, 60))
    with pytest.raises(ManifestError, match="once aliases are expanded"):
        loads(bomb)


def test_a_long_text_behind_many_aliases_is_refused() -> None:
    aliases = "".join(f"b{i}: *a\n" for i in range(50))
    with pytest.raises(ManifestError, match="characters once aliases are expanded"):
        loads(f"a: &a {'x' * 100_000}\n{aliases}")


PIECES = (
    "a|b: |: |- |? |[|]|{|}|, |&a |*a|<<: |!!int |!x |!<|'|\"|\\u|>-2\n|\n|\n  |\t|#|---\n|...\n|~|1|.inf"
)
PIECES += "|%YAML 1.1\n|%TAG ! x\n|\ufeff|\x85|\u2028|\0|\ud800|%|@|`|\r"
YAML_PIECES = st.lists(st.sampled_from(["|\n", *PIECES.split("|")]), max_size=30).map("".join)


@settings(max_examples=examples(300), deadline=None)
@given(st.one_of(st.text(), st.text(st.characters()), YAML_PIECES))
@example("%YAML 1.x\n---\n")
@example("a: !<tag:yaml.org,2002:int> x")
@example("!!set {a, b}")
@example("[" * 5000)
@example("...\n---\na")
def test_any_text_is_read_or_refused_in_one_line(text: str) -> None:
    said = "x.yaml"
    try:
        loads(text, "x.yaml")
    except ManifestError as error:
        said = str(error)
    assert "x.yaml" in said
    assert said.isprintable()


class _Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")
    count: int = Field(1, ge=1)
    share: float = Field(0.5, le=1)


class _Other(BaseModel):
    model_config = ConfigDict(extra="forbid")
    path: str


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid")
    inner: _Inner = _Inner()
    many: tuple[_Inner, ...] = ()
    named: dict[str, _Inner] = {}
    either: str | _Other = ""
    number: int | dict[str, int] = 0
    code: str = Field("a", pattern="^[a-z]$")
    filled: tuple[int, ...] = Field((1,), min_length=1)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("inner: {cuont: 1}", "root.inner.cuont (x:1): unknown key 'cuont'. Did you mean 'count'?"),
        ("\nmany:\n- {shar: 1}", "root.many[0].shar (x:3): unknown key 'shar'. Did you mean 'share'?"),
        ("named: {a: {xyz: 1}}", "root.named.a.xyz (x:1): unknown key 'xyz'. Known keys: count, share"),
        ("either: {pth: a}", "root.either.pth (x:1): unknown key 'pth'. Did you mean 'path'?"),
        ("either: 3", "root.either (x:1): must be a string or a mapping, not 3"),
        ("number: {a: x}", "root.number.a (x:1): must be a whole number, not 'x'"),
        ("number: x", "root.number (x:1): must be a whole number or a mapping, not 'x'"),
        ("inner: {count: 0}", "root.inner.count (x:1): must be at least 1, not 0"),
        ("inner: {share: 1.5}", "root.inner.share (x:1): must be at most 1, not 1.5"),
        ("code: AB", "root.code (x:1): 'AB' does not match ^[a-z]$"),
        ("filled: []", "root.filled (x:1): needs at least 1 entries, not 0"),
        ("inner: {share: .nan}", "root.inner.share (x:1): must be a finite number"),
        ("[]", "root (x:1): must be a mapping, not a list"),
    ],
)
def test_what_does_not_fit_a_model_is_said_plainly(text: str, message: str) -> None:
    read = loads(text, "x")
    lines = {("root", *path): line for path, line in read.lines.items()}
    with pytest.raises(ManifestError) as caught:
        validate(_Model, read.data, Document({"root": read.data}, lines, "x"), ("root",))
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({}, "a mapping"),
        ([], "a list"),
        (None, "nothing"),
        (True, "true"),
        ("a\nb", r"'a\nb'"),
        ("x" * 99, repr("x" * 57 + "...")),
    ],
)
def test_values_are_shown_on_one_line(value: Any, text: str) -> None:
    assert show(value) == text


def test_many_names_are_not_all_listed() -> None:
    assert suggest("zzz", [f"n{i:02}" for i in range(30)]).endswith("n19 ...")
    assert suggest("zzz", []) == "Known: none"
