"""A manifest file into a :class:`~tais.manifest.model.Manifest`: read, extend, check, make absolute."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any, TypeVar

from tais.common.document import Document, Path_, dotted, show, suggest
from tais.common.packed import PACKED
from tais.common.shipped import find_battery_file, names, share
from tais.common.validation import check_keys, validate
from tais.errors import ManifestError, Place
from tais.manifest.checks import check, check_name
from tais.manifest.environments import Environment, interpreter_of, name_of, named_interpreter
from tais.manifest.model import OF_THE_MODEL, Arm, BatteryRef, Manifest, Role
from tais.manifest.models import CARD, full_name, is_name, model_store, remedy_for
from tais.manifest.starts import KEY as STARTS
from tais.manifest.starts import with_starts
from tais.manifest.steering_options import KEY, steering_of

__all__ = ["find", "find_manifest", "load", "load_manifest", "place_in", "resolve"]

ArmT = TypeVar("ArmT", bound=Arm)
# What TAIS says itself of a manifest and of an arm.
_OWN = ("source", "name", "starts", "start_of")
_TOP_KEYS = ("name", *(key for key in Manifest.model_fields if key not in _OWN))
_ARM_KEYS = ("extends", *(key for key in Arm.model_fields if key not in _OWN), STARTS)
# A judge is asked by itself, and once.
_NO_JUDGES = (STARTS, "mixed_batch")
_JUDGE_KEYS = (*(key for key in _ARM_KEYS if key not in _NO_JUDGES), "max_tokens")
# Files of outputs in a folder, compressed or not.
_PLAIN = (".jsonl", ".json", ".eval", ".csv", ".tsv", ".xlsx", ".parquet")
_OUTPUTS = (*_PLAIN, *(f"{ending}{packed}" for ending in _PLAIN for packed in PACKED))
_RELATIVE = "Relative paths start from the folder of the manifest"
MAX_CHAIN = 50


def find(name_or_path: str | Path) -> Path:
    """See :func:`tais.manifest.model.find_manifest`."""
    path = Path(name_or_path)
    if _exists(path) and not path.is_dir():
        return path
    # "demo", "demo.yaml" and "manifests/demo.yaml" name the same file, wherever the user stands.
    name = str(name_or_path).removeprefix("manifests/").removesuffix(".yaml")
    known = names("manifests")
    if name in known:
        return share("manifests") / f"{name}.yaml"
    # "paper/1-llama32-3b-1b": of a study.
    of_study = share("manifests") / f"{name}.yaml"
    if ".." not in of_study.parts and name.count("/") == 1 and _exists(of_study):
        return of_study
    remedy = suggest(name, known, "Manifests that ship with TAIS")
    raise ManifestError("no such manifest", place=Place(str(name_or_path)), remedy=remedy)


def load(path: Path) -> Manifest:
    """Read, resolve and check a manifest file."""
    from tais.common.yaml12 import load as load_yaml

    return resolve(load_yaml(path), path.parent)


def resolve(document: Document, base: Path) -> Manifest:
    """Resolve and check a manifest that has been read.

    Parameters
    ----------
    document
        The manifest as written.
    base
        Folder that relative paths start from.
    """
    if document.data is None:
        raise ManifestError("the file is empty", place=document.place())
    check_keys(document, (), document.data, _TOP_KEYS)
    written = _with_sweep(_with_restarts(_with_arms(document)))
    resolved = _with_judges(_with_batteries(with_starts(written)))
    manifest = validate(Manifest, resolved.data, resolved)
    check(manifest, resolved)
    return _located(manifest, base, resolved).model_copy(update={"source": document.data})


def _with_arms(document: Document) -> Document:
    """Return the document with `extends` resolved; inherited keys keep the line they were written on."""
    written = document.data.get("arms", {})
    if not isinstance(written, dict):
        raise ManifestError(f"must be a mapping, not {show(written)}", place=document.place(("arms",)))
    for name, arm in written.items():
        check_name(name, document, ("arms", name))
        check_keys(document, ("arms", name), arm, _ARM_KEYS)
    arms, lines = {}, dict(document.lines)
    own_lines = _lines_by_arm(document)
    for name in written:
        chain = _chain(name, written, document)
        merged: dict[str, Any] = {}
        for link in chain:
            merged = _inherit(merged, written[link], root=link == chain[0])
        arms[name] = {"name": name, **merged}
        for link in reversed(chain):
            for path, line in own_lines[link].items():
                lines.setdefault(("arms", name, *path), line)
    return Document({**document.data, "arms": arms}, lines, document.file)


def _with_sweep(document: Document) -> Document:
    """Return the document with the arms and contrasts of its sweep written out."""
    if document.data.get("sweep") is None:
        return document
    # Most manifests have none, and it brings numpy.
    from tais.manifest.sweep import expanded

    return expanded(document)


def _with_restarts(document: Document) -> Document:
    """Return the document with one contrast for each A/A arm of a calibration that names several."""
    written = document.data.get("contrasts")
    if not isinstance(written, list) or not any(
        isinstance(entry, dict) and isinstance(entry.get("candidate"), list) for entry in written
    ):
        return document
    contrasts: list[Any] = []
    lines = {
        path: line for path, line in document.lines.items() if path[:1] != ("contrasts",) or len(path) < 2
    }
    for index, entry in enumerate(written):
        at: Path_ = ("contrasts", index)
        named: Any = entry.get("candidate") if isinstance(entry, dict) else None
        several = isinstance(named, list)
        if several and (entry.get("role") != Role.calibration.value or not named):
            what = "several candidates are the A/A arms of one calibration" if named else "names no arm"
            remedy = "Write a contrast for each, or role: calibration" if named else "Name at least one"
            raise ManifestError(what, place=document.place((*at, "candidate")), remedy=remedy)
        candidates: list[Any] = named if isinstance(named, list) else [named]
        for each, arm in enumerate(candidates):
            new = len(contrasts)
            contrasts.append({**entry, "candidate": arm} if several else entry)
            for path, line in document.lines.items():
                if path[:2] == at:
                    lines["contrasts", new, *path[2:]] = line
            if several:
                lines["contrasts", new, "candidate"] = document.line((*at, "candidate", each)) or 1
    return Document({**document.data, "contrasts": contrasts}, lines, document.file)


def _with_judges(document: Document) -> Document:
    """Return the document with each judge's `extends` resolved: another judge, or an arm as resolved."""
    written = document.data.get("judges", {})
    if not isinstance(written, dict):
        raise ManifestError(f"must be a mapping, not {show(written)}", place=document.place(("judges",)))
    judges: dict[str, Any] = {}
    for name, judge in written.items():
        check_name(name, document, ("judges", name))
        check_keys(document, ("judges", name), judge, _JUDGE_KEYS)
        if name in document.data["arms"]:
            remedy = "Give the judge a name of its own"
            what = f"an arm is already called '{name}'"
            raise ManifestError(what, place=document.place(("judges", name)), remedy=remedy)
    stacks = {**document.data["arms"], **written}
    for name in written:
        merged: dict[str, Any] = {}
        for link in _chain(name, stacks, document, "judges"):
            merged = _inherit(merged, stacks[link], root=not merged)
        own = {key: value for key, value in merged.items() if key not in _NO_JUDGES}
        judges[name] = {**own, "name": name}
    return Document({**document.data, "judges": judges}, document.lines, document.file)


def _lines_by_arm(document: Document) -> dict[str, dict[Path_, int]]:
    by_arm: dict[str, dict[Path_, int]] = {}
    for path, line in document.lines.items():
        if len(path) > 1 and path[0] == "arms":
            by_arm.setdefault(str(path[1]), {})[path[2:]] = line
    return by_arm


def _chain(name: str, arms: dict[str, Any], document: Document, key: str = "arms") -> list[str]:
    """Return an arm and all that it extends, the root first."""
    chain = [name]
    while (parent := arms[chain[-1]].get("extends")) is not None:
        place = document.place((key, chain[-1], "extends"))
        if not isinstance(parent, str):
            raise ManifestError(f"must be the name of one arm, not {show(parent)}", place=place)
        if parent in chain:
            cycle = " -> ".join([*chain[chain.index(parent) :], parent])
            raise ManifestError(f"arms extend each other in a cycle: {cycle}", place=place)
        if parent not in arms:
            remedy = suggest(parent, (arm for arm in arms if arm != name), "Arms")
            raise ManifestError(f"no arm named {show(parent)}", place=place, remedy=remedy)
        if len(chain) == MAX_CHAIN:
            raise ManifestError(f"more than {MAX_CHAIN} arms extend each other in a row", place=place)
        chain.append(parent)
    return chain[::-1]


def _inherit(parent: dict[str, Any], child: dict[str, Any], *, root: bool) -> dict[str, Any]:
    own = {key: value for key, value in child.items() if key != "extends"}
    if root:
        # Inside engine_args a null may be what the engine is to get; on the arm it says nothing.
        return {key: deepcopy(value) for key, value in own.items() if value is not None}
    if "model" in own and own["model"] != parent.get("model"):
        parent = {key: value for key, value in parent.items() if key not in OF_THE_MODEL}
    return _merge(parent, own)


def _merge(parent: dict[str, Any], child: dict[str, Any]) -> dict[str, Any]:
    """Merge deeply: mappings merge, null deletes, anything else replaces. Shares nothing with its input."""
    merged = deepcopy(parent)
    for key, value in child.items():
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, dict):
            below = merged.get(key)
            merged[key] = _merge(below if isinstance(below, dict) else {}, value)
        else:
            merged[key] = deepcopy(value)
    return merged


def _with_batteries(document: Document) -> Document:
    """Return the document with each battery as a mapping: a bare string is its name."""
    batteries = document.data.get("batteries")
    if not isinstance(batteries, list):
        return document
    for index, entry in enumerate(batteries):
        if not isinstance(entry, str | dict):
            what = f"must be a name or a mapping, not {show(entry)}"
            raise ManifestError(what, place=document.place(("batteries", index)))
    entries = [{"name": entry} if isinstance(entry, str) else entry for entry in batteries]
    return Document({**document.data, "batteries": entries}, document.lines, document.file)


def _with_environments(manifest: Manifest, base: Path, document: Document) -> Manifest:
    """Return the manifest with an interpreter on every arm that is not to run on TAIS's own.

    An arm that names an interpreter alone gets an environment for it, so that the lock fixes both alike.
    """
    found: dict[str, Environment] = {}
    for name, environment in manifest.environments.items():
        check_name(name, document, ("environments", name))
        found[name] = environment
        if environment.python is not None:
            python = _python(environment.python, base, document, ("environments", name, "python"))
            found[name] = environment.model_copy(update={"python": python})

    def placed(arms: dict[str, ArmT], role: str) -> dict[str, ArmT]:
        return {name: _with_interpreter(arm, found, base, document, role) for name, arm in arms.items()}

    arms, judges = placed(manifest.arms, "arms"), placed(manifest.judges, "judges")
    return manifest.model_copy(update={"arms": arms, "judges": judges, "environments": found})


def _with_interpreter(
    arm: ArmT, found: dict[str, Environment], base: Path, document: Document, role: str
) -> ArmT:
    at: Path_ = (role, arm.name)
    for key in ("environment", "python"):
        if getattr(arm, key) is not None and (arm.engine == "import" or arm.attached):
            what = f"an arm on {arm.engine} runs no engine here, so it needs no interpreter"
            raise ManifestError(what, place=document.place((*at, key)), remedy=f"Leave the {key} out")
    if arm.python is not None:
        if arm.environment is not None:
            what, place = "the arm names an environment and an interpreter", document.place((*at, "python"))
            raise ManifestError(what, place=place, remedy="Leave one of them out")
        python = _python(arm.python, base, document, (*at, "python"))
        name = name_of(python)
        found[name] = Environment(python=python)
        return arm.model_copy(update={"python": python, "environment": name})
    if arm.environment is None:
        return arm
    if arm.environment not in found:
        what, place = f"no environment named {show(arm.environment)}", document.place((*at, "environment"))
        raise ManifestError(what, place=place, remedy=suggest(arm.environment, found, "Environments"))
    return arm.model_copy(update={"python": str(interpreter_of(found[arm.environment]))})


def _python(text: str, base: Path, document: Document, path: Path_) -> str:
    found = named_interpreter(text, base)
    if found is None:
        remedy = f"Write the path of a python, such as /opt/vllm-0.31/bin/python. {_RELATIVE}"
        raise ManifestError(f"no interpreter {show(text)}", place=document.place(path), remedy=remedy)
    return str(found)


def _located(manifest: Manifest, base: Path, document: Document) -> Manifest:
    manifest = _with_environments(manifest, base, document)
    arms = {name: _located_arm(arm, base, document) for name, arm in manifest.arms.items()}
    judges = {name: _located_arm(arm, base, document, "judges") for name, arm in manifest.judges.items()}
    batteries = tuple(_located_battery(*entry, base, document) for entry in enumerate(manifest.batteries))
    return manifest.model_copy(update={"arms": arms, "batteries": batteries, "judges": judges})


def _located_battery(index: int, battery: BatteryRef, base: Path, document: Document) -> BatteryRef:
    if battery.path is None:
        find_battery_file(battery.name, document.place(("batteries", index)))
        return battery
    found = _file(battery.path, base, document, ("batteries", index, "path"))
    return battery.model_copy(update={"path": found})


def _located_arm(arm: ArmT, base: Path, document: Document, role: str = "arms") -> ArmT:
    """Return the arm with the paths of local files and folders absolute."""
    at: Path_ = (role, arm.name)
    update: dict[str, Any] = {}
    if arm.chat_template is not None:
        update["chat_template"] = _file(arm.chat_template, base, document, (*at, "chat_template"))
    named: tuple[str, ...] = ()
    if arm.path is not None:
        update["path"] = _outputs(arm.path, base, document, (*at, "path"))
        given = (arm.path,) if isinstance(arm.path, str) else arm.path
        named = tuple(
            str((base / name).resolve()) for name in given if _exists(base / name) and (base / name).is_file()
        )
    # The model of a server that runs already is a name that it knows, even where it looks like a path.
    for key in ("tokenizer",) if arm.attached else ("model", "tokenizer"):
        if (text := getattr(arm, key)) is not None:
            update[key] = _local(text, base, document, (*at, key))
    speculation = arm.speculative_config or {}
    if isinstance(draft := speculation.get("model"), str) and draft:
        found = _local(draft, base, document, (*at, "speculative_config", "model"))
        speculation = update["speculative_config"] = {**speculation, "model": found}
    if isinstance(selector := speculation.get("selector"), str) and selector:
        found = _local(selector, base, document, (*at, "speculative_config", "selector"))
        update["speculative_config"] = {**speculation, "selector": found}
    steering = steering_of(arm)
    if isinstance(steering, dict):
        inner: Path_ = (*at, "engine_args", KEY)
        local = {
            key: find(steering[key], base, document, (*inner, key))
            for key, find in (("proxy", _local), ("examples", _file))
            if steering.get(key) is not None
        }
        update["engine_args"] = {**arm.engine_args, KEY: {**steering, **local}}
    return arm.model_copy(update=update).with_named_outputs(named)


def _local(text: str, base: Path, document: Document, path: Path_) -> str:
    """Return an absolute path where `text` is one, else `text`: the name of a model on a hub."""
    found = base / text
    if _exists(found):
        return str(found.resolve())
    _refuse_unexpanded(text, document, path)
    if text.startswith(("./", "../", "/")):
        raise ManifestError(f"nothing at {show(text)}", place=document.place(path), remedy=_RELATIVE)
    return _kept(text, document, path)


def _kept(text: str, document: Document, path: Path_) -> str:
    """Return the folder of a model that TAIS keeps, by its name; any other name as it is."""
    if not is_name(text):
        return text
    folder = model_store() / full_name(text)
    if (folder / CARD).is_file():
        return str(folder)
    if (remedy := remedy_for(full_name(text))) is not None:
        raise ManifestError(f"the model {text} is not there yet", place=document.place(path), remedy=remedy)
    return text


def _refuse_unexpanded(text: str, document: Document, path: Path_) -> None:
    """Raise ManifestError for a path as one types it in a shell: a manifest means the same for everybody."""
    if text.startswith("~") or "$" in text:
        what = f"nothing at {show(text)}: a manifest expands neither ~ nor $VARIABLE"
        raise ManifestError(what, place=document.place(path), remedy=f"Write the path out. {_RELATIVE}")


def _file(text: str, base: Path, document: Document, path: Path_) -> str:
    found = base / text
    if not _exists(found) or not found.is_file():
        _refuse_unexpanded(text, document, path)
        raise ManifestError(f"no file {show(text)}", place=document.place(path), remedy=_RELATIVE)
    return str(found.resolve())


def _outputs(
    given: str | tuple[str, ...], base: Path, document: Document, path: Path_
) -> str | tuple[str, ...]:
    """Return the files of an import arm; those in a folder, by their names, where one stands for them."""
    if isinstance(given, str) and not (_exists(base / given) and (base / given).is_dir()):
        return _file(given, base, document, path)
    found: list[str] = []
    for index, name in enumerate((given,) if isinstance(given, str) else given):
        folder, at = base / name, path if isinstance(given, str) else (*path, index)
        if not _exists(folder) or not folder.is_dir():
            found.append(_file(name, base, document, at))
            continue
        inside = (file for file in sorted(folder.rglob("*")) if file.name.lower().endswith(_OUTPUTS))
        files = [str(file.resolve()) for file in inside if file.is_file()]
        if not files:
            what, remedy = f"no file of outputs in {show(name)}", f"Endings: {', '.join(_OUTPUTS)}"
            raise ManifestError(what, place=document.place(at), remedy=remedy)
        found += files
    return tuple(dict.fromkeys(found))


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # Too long for a name, or a NUL inside: no file is called that.
        return False


def load_manifest(path: str | Path) -> Manifest:
    """Read, resolve and check a manifest; everything that needs no engine is checked here.

    Parameters
    ----------
    path
        A file, or the name of a manifest that ships with TAIS (``demo``).

    Raises
    ------
    ManifestError
        One line with file, line, key and remedy.
    """
    found = find_manifest(path)
    return load(found).read_from(found)


def place_in(path: Path, key: str) -> Place:
    """Return where a key such as ``arms.spec.dtype`` stands in a manifest, inherited from another arm or not.

    Parameters
    ----------
    path
        Of a manifest that was read before.
    key
        Dotted; names of arms may hold dots themselves.
    """
    from tais.common.yaml12 import load as load_yaml

    lines = _with_arms(load_yaml(path)).lines
    best = max((at for at in lines if f"{key}.".startswith(f"{dotted(at)}.")), key=len, default=())
    return Place(str(path), lines.get(best), key or None)


def find_manifest(name_or_path: str | Path) -> Path:
    """Return the file of a manifest: an existing one, else the one of this name that ships with TAIS."""
    return find(name_or_path)
