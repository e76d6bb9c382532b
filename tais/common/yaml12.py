"""YAML 1.2 (core schema) into plain data that keeps its line numbers. Safe, and never surprising.

Manifests, batteries and policies are read here. A file is refused, with its line, rather than read
in a way that its author did not mean: duplicate keys, merge keys, keys that are not strings, foreign
tags, recursive aliases, aliases that multiply, several documents.

Notes
-----
Built on ruamel.yaml's pure composer, which gives nodes with positions. No library was found that does
the rest: PyYAML reads YAML 1.1 (``no`` is false) and its loaders drop positions; ruamel's round-trip
loader keeps them but reads ``0123`` and ``1_000`` as numbers and dates as dates, follows merge keys and
puts no bound on aliases; strictyaml has no aliases, flow style or typed scalars; msgspec and
pydantic-yaml stand on the first two.

The core schema is left in one point, in favour of what was written: a number with a leading zero
(``0123456``, the start of many a commit) stays a string.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from tais.common.document import Document, Path_, dotted, show
from tais.common.validation import check_keys, validate
from tais.errors import ManifestError, Place

if TYPE_CHECKING:
    from ruamel.yaml.nodes import Node

__all__ = ["Document", "check_keys", "load", "loads", "validate"]

MAX_BYTES = 1_000_000
MAX_DEPTH = 64
MAX_VALUES = 100_000
MAX_CHARACTERS = 4 * MAX_BYTES
"""A long text behind many aliases weighs nothing until it is written out."""
"""Counted after aliases are expanded: an alias bomb of ten lines reaches it, no honest file does."""

_CORE = "tag:yaml.org,2002:"
_PLAIN = (
    ("null", re.compile(r"~|null|Null|NULL|")),
    ("bool", re.compile(r"true|True|TRUE|false|False|FALSE")),
    ("int", re.compile(r"[-+]?(0|[1-9][0-9]*)|0o[0-7]+|0x[0-9a-fA-F]+", re.ASCII)),
    ("float", re.compile(r"[-+]?(\.[0-9]+|(0|[1-9][0-9]*)(\.[0-9]*)?)([eE][-+]?[0-9]+)?", re.ASCII)),
    ("float", re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")),
)
# CPython converts at most 4300 digits; no setting of an engine or of a test needs a tenth of that.
_MAX_DIGITS = 400


def load(path: str | Path) -> Document:
    """Read a YAML file.

    Raises
    ------
    ManifestError
        With file, line and remedy, when the file cannot be read or does not mean one thing.
    """
    file = str(path)
    try:
        with Path(path).open("rb") as stream:
            raw = stream.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ManifestError(f"cannot read the file: {reason}", place=Place(file)) from error
    if len(raw) > MAX_BYTES:
        raise ManifestError(f"the file is larger than {MAX_BYTES} bytes", place=Place(file))
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        place = Place(file, raw[: error.start].count(b"\n") + 1)
        raise ManifestError("not valid UTF-8", place=place, remedy="Save the file as UTF-8") from error
    return loads(text, file)


def loads(text: str, file: str | None = None) -> Document:
    """Read YAML text; `file` is the name that errors show. Raises as :func:`load` does."""
    root = _compose(text, file)
    if root is None:
        return Document(None, {(): 1}, file)
    builder = _Builder(file)
    return Document(builder.build(root, (), _line(root.start_mark)), builder.lines, file)


class _CoreResolver:
    """Gives a node without a tag the one of the core schema; ruamel's own rules are wider."""

    processing_version = (1, 2)

    def __init__(self, version: object = None, loader: object = None) -> None:
        self._loader_version = version

    def descend_resolver(self, node: object, index: object) -> None:
        """Do nothing: tags here never depend on the path."""

    def ascend_resolver(self) -> None:
        """Do nothing, for the same reason."""

    def resolve(self, kind: type, value: object, implicit: Any) -> object:
        from ruamel.yaml.tag import Tag

        name = {"MappingNode": "map", "SequenceNode": "seq"}.get(kind.__name__, "str")
        # implicit[0] says that the scalar is plain, so that its text decides.
        if name == "str" and isinstance(value, str) and implicit[0]:
            name = next((name for name, pattern in _PLAIN if pattern.fullmatch(value)), name)
        return Tag(suffix=_CORE + name)


def _compose(text: str, file: str | None) -> Node | None:
    """Return the root node, or None for an empty text."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError
    from ruamel.yaml.reader import ReaderError

    reader = YAML(typ="safe", pure=True)
    reader.Resolver = _CoreResolver
    reader.max_depth = MAX_DEPTH
    try:
        reader.composer.warn_double_anchors = False
        root: Node | None = reader.compose(text.removeprefix("\ufeff"))
    except ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        what = f"the character U+{error.character:04X} is not allowed in YAML"
        raise ManifestError(what, place=Place(file, line)) from error
    except MarkedYAMLError as error:
        raise _broken(error, file) from error
    except Exception as error:
        # ruamel trips over a few broken texts with AttributeError, ValueError and the like.
        raise ManifestError("this is not YAML", place=Place(file)) from error
    return root


def _broken(error: Any, file: str | None) -> ManifestError:
    """Translate a syntax error of ruamel, which spreads itself over several lines."""
    mark = error.problem_mark or error.context_mark
    said = " ".join(str(error.problem or error.context or "broken syntax").split())
    what, remedy = f"broken YAML: {said[:200]}", None
    if error.problem_mark and error.context_mark and _line(error.context_mark) < _line(error.problem_mark):
        remedy = f"What is wrong begins on line {_line(error.context_mark)}"
    if "'\\t'" in said:
        what, remedy = "broken YAML: a tab where a value is due", "Indent with spaces"
    elif "<block end>" in said:
        what = "broken YAML: this does not fit the indentation around it"
    elif "maximum depth" in said:
        what = f"nested more than {MAX_DEPTH} levels deep"
    elif "another document" in said:
        what, remedy = "several documents in one file", "Keep one, and drop the line '---' before the others"
    return ManifestError(what, place=Place(file, _line(mark) if mark else None), remedy=remedy)


def _line(mark: Any) -> int:
    return int(mark.line) + 1


class _Builder:
    """Turns nodes into plain data, with everything refused that does not mean one thing."""

    def __init__(self, file: str | None) -> None:
        self.file = file
        self.lines: dict[Path_, int] = {}
        self.open: list[Node] = []
        self.characters = 0

    def refuse(self, what: str, path: Path_, line: int, remedy: str | None = None) -> NoReturn:
        raise ManifestError(what, place=Place(self.file, line, dotted(path) or None), remedy=remedy)

    def build(self, node: Node, path: Path_, line: int) -> Any:
        """Return the data under `node`; `line` is that of its key, or its own."""
        if any(node is around for around in self.open):
            self.refuse("an alias refers to the value that it stands in", path, line)
        self.bound(path, line)
        self.lines[path] = line
        name = str(node.tag).removeprefix(_CORE)
        if name not in _KINDS or _KINDS[name] != type(node).__name__:
            remedy = "Only plain mappings, lists, strings, numbers, booleans and null are read"
            tag = str(node.tag).replace(_CORE, "!!")
            self.refuse(f"the tag {show(tag)} is not allowed here", path, line, remedy)
        if _KINDS[name] == "ScalarNode":
            return self.scalar(name, node.value, path, line)
        self.open.append(node)
        built = self.mapping(node, path) if name == "map" else self.sequence(node, path)
        self.open.pop()
        return built

    def bound(self, path: Path_, line: int) -> None:
        # Named by the top key: the full path is long, and its line is that of an alias's target.
        top, line = path[:1], self.lines.get(path[:1], line)
        if len(path) > MAX_DEPTH:
            self.refuse(f"nested more than {MAX_DEPTH} levels deep", top, line)
        if len(self.lines) >= MAX_VALUES:
            self.refuse(f"more than {MAX_VALUES} values once aliases are expanded", top, line)

    def sequence(self, node: Node, path: Path_) -> list[Any]:
        return [self.build(item, (*path, i), _line(item.start_mark)) for i, item in enumerate(node.value)]

    def mapping(self, node: Node, path: Path_) -> dict[str, Any]:
        built: dict[str, Any] = {}
        for key_node, value in node.value:
            line = _line(key_node.start_mark)
            key = self.key(key_node, path, line)
            if key in built:
                first = self.lines[(*path, key)]
                self.refuse("this key is given twice", (*path, key), line, f"The first is on line {first}")
            built[key] = self.build(value, (*path, key), line)
        return built

    def key(self, node: Node, path: Path_, line: int) -> str:
        if type(node).__name__ != "ScalarNode" or node.tag != _CORE + "str":
            text = show(node.value) if isinstance(node.value, str) else "that is a list or mapping"
            self.refuse(f"the key {text} is not a string", path, line, "Put quotes around it")
        # The style of a plain scalar is None; a quoted "<<" is a key like any other.
        if node.value == "<<" and getattr(node, "style", None) is None:
            self.refuse("merge keys are not read", path, line, "Use extends")
        return str(self.scalar("str", node.value, path, line))

    def scalar(self, name: str, text: str, path: Path_, line: int) -> Any:
        self.characters += len(text)
        if self.characters > MAX_CHARACTERS:
            what = f"more than {MAX_CHARACTERS} characters once aliases are expanded"
            self.refuse(what, path[:1], self.lines.get(path[:1], line))
        if name == "str":
            if any("\ud800" <= character <= "\udfff" for character in text):
                self.refuse("half of a surrogate pair is not a character", path, line)
            return text
        if not any(kind == name and pattern.fullmatch(text) for kind, pattern in _PLAIN):
            self.refuse(f"{text[:60]!r} is not of the type that its tag names ({name})", path, line)
        if name in ("int", "float") and len(text) > _MAX_DIGITS:
            self.refuse(f"a number of more than {_MAX_DIGITS} characters", path, line)
        return _VALUES[name](text)


_KINDS = {
    "map": "MappingNode",
    "seq": "SequenceNode",
    **dict.fromkeys(("str", "null", "bool", "int", "float"), "ScalarNode"),
}


def _integer(text: str) -> int:
    # Not int(text, 0): it would also take 0b1 and underscores.
    return int(text, {"0o": 8, "0x": 16}.get(text[:2], 10))


def _float(text: str) -> float:
    return float(text.replace(".", "", 1) if text.lower().endswith(("inf", "nan")) else text)


_VALUES = {
    "null": lambda _: None,
    "bool": lambda text: text.lower() == "true",
    "int": _integer,
    "float": _float,
}
