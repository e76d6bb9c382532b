"""manifest.lock.json as a model.

A lock that is read may come from anybody, so the model is strict: unknown keys are refused, names can be
names of files, what a contrast names is there. Only keys that were set are written, so that a lock read
gives its own bytes back; whoever checks a signature hashes the bytes that are stored all the same.
"""

from __future__ import annotations

import json
from typing import Annotated, Literal

from pydantic import BaseModel, Field, JsonValue, StringConstraints, model_validator

from tais.common.models import Frozen, Open
from tais.manifest.expanded_sweep import Swept
from tais.manifest.model import NAME, MixedBatch, ProducedBy, Role, Rules, Sampling
from tais.manifest.reserved import Polarity
from tais.manifest.rules_version import FIRST_RULES, RULES_VERSION

__all__ = [
    "BatteryLooks",
    "Lock",
    "LockedArm",
    "LockedBattery",
    "LockedContrast",
    "LockedControl",
    "LockedEnvironment",
    "LockedFile",
    "LockedFolder",
    "LockedMemory",
    "LockedModel",
    "LockedProbes",
    "LockedScorer",
    "LookSchedule",
    "ManifestSource",
    "plain",
]

Name = Annotated[str, StringConstraints(pattern=NAME)]


class LockedFile(Frozen):
    """A local file, by name and content."""

    file: str
    sha256: str


class LockedFolder(Frozen):
    """A local model or selector: the digests of what is in its folder."""

    folder: str
    files: dict[str, str]


LockedModel = str | LockedFolder | None
"""A name on a hub or at a server, or a local folder; None where an arm has none."""


class LockedArm(Frozen):
    """One serving stack, or a judge."""

    engine: str
    model: LockedModel = None
    revision: str | None = None
    tokenizer: LockedModel = None
    dtype: str | None = None
    order: Literal["battery", "shuffled"] = "battery"
    engine_args: dict[str, JsonValue]
    speculative_config: dict[str, JsonValue] | None = None
    """As the engine gets it, but that a local draft stands as a :class:`LockedFolder` does."""
    path: LockedFile | tuple[LockedFile, ...] | None = None
    format: str | None = None
    columns: dict[str, str] | None = None
    only: dict[str, str] | None = None
    produced_by: ProducedBy | None = None
    chat_template: LockedFile | None = None
    engine_files: dict[str, str] = Field(default_factory=dict)
    """Digests of files that the engine's settings name, by dotted key."""
    system_prompt: str | None = None
    chat_template_kwargs: dict[str, JsonValue] | None = None
    chat_template_date: str | None = Field(None, pattern=r"^\d{4}-\d\d-\d\d$")
    """The day that the template reads from its clock; only where it may read one."""
    environment: Name | None = None
    """Which of the lock's environments it ran in; None is that of TAIS."""
    mixed_batch: MixedBatch | None = None
    """What else is in its batches."""
    fault: dict[str, JsonValue] | None = None
    max_tokens: int | None = None
    """Of a judge: its longest reply."""

    @model_validator(mode="after")
    def _named(self) -> LockedArm:
        _ = self.draft
        if self.fault is not None and not isinstance(self.fault.get("name"), str):
            raise ValueError("the fault has no name")
        return self

    @property
    def attached(self) -> bool:
        """Whether a server that runs already answered, as :attr:`tais.manifest.model.Arm.attached`."""
        return self.engine == "openai" and "serve" not in self.engine_args

    @property
    def draft(self) -> LockedModel:
        """The draft that the arm names; None where it names none."""
        found = (self.speculative_config or {}).get("model")
        return LockedFolder.model_validate(found) if isinstance(found, dict) else _text(found)

    @property
    def draft_revision(self) -> str | None:
        """Commit of the draft."""
        return _text((self.speculative_config or {}).get("revision"))

    @property
    def fault_name(self) -> str | None:
        """The fault that a drill plants here; None where there is none."""
        return _text((self.fault or {}).get("name"))

    @property
    def model_name(self) -> str | None:
        """The model in a word: of a folder its name."""
        return self.model.folder if isinstance(self.model, LockedFolder) else self.model


class LockedEnvironment(Frozen):
    """The interpreter that arms of one name ran on."""

    python: str
    """Version."""
    packages: dict[str, str]
    """Versions of what decides an answer."""
    digest: str
    """sha256 (hex) over the records of all that is installed there."""


class LockedContrast(Frozen):
    """Reference arm against candidate arm."""

    reference: Name
    candidate: Name
    role: Role
    lossless: bool
    audit: Literal["none", "divergences", "full", "only"] = "none"
    differences: tuple[str, ...] = ()
    """Dotted keys of the settings in which the arms differ."""
    control: Name | None = None
    """Which of the lock's controls an audit without a target arm has."""

    @property
    def sides(self) -> tuple[str, str]:
        """Reference and candidate."""
        return self.reference, self.candidate


class LockedScorer(Open):
    """A scorer: its name, its version, and options of its own."""

    __pydantic_extra__: dict[str, JsonValue]

    name: str
    version: str

    @property
    def spec(self) -> dict[str, JsonValue]:
        """What makes the scorer again, see :func:`tais.scorers.find_scorer`."""
        return {"name": self.name, **self.__pydantic_extra__}


class LockedBattery(Frozen):
    """What a lock fixes of one battery."""

    name: Name
    items: int = Field(ge=0)
    digest: str
    content_digest: str | None = None
    scorer: LockedScorer
    margin: float | None = Field(None, gt=0, lt=1)
    license: str | None = None
    notes: tuple[str, ...] = ()
    second_scorers: tuple[LockedScorer, ...] = ()


class BatteryLooks(Frozen):
    """The looks at one battery."""

    clusters: tuple[int, ...]
    """So many are in after each look."""
    early: bool
    """Whether it is looked at before the end."""
    strata: dict[str, tuple[int, ...]] = Field(default_factory=dict)
    """The same by stratum, where endpoints are split by expectation; `clusters` is their sum."""


class LookSchedule(Frozen):
    """The early stop: planned before the first answer."""

    kind: Literal["obrien_fleming", "pocock", "betting"]
    looks: int = Field(ge=1)
    arms: tuple[Name, ...]
    batteries: dict[Name, BatteryLooks]
    endpoints: int | None = Field(None, ge=1)
    """Endpoints of all screened contrasts: a fail stops at alpha over it. None in locks made before."""

    @model_validator(mode="after")
    def _complete(self) -> LookSchedule:
        for name, battery in self.batteries.items():
            if any(len(counts) != self.looks for counts in (battery.clusters, *battery.strata.values())):
                raise ValueError(f"battery {name!r} has not one count for each of {self.looks} looks")
        return self


class ManifestSource(Frozen):
    """The manifest that was run."""

    sha256: str
    source: dict[str, JsonValue]
    """The file as written; of a run that was made from others, what it cites."""


class LockedProbes(Frozen):
    """Questions of TAIS's own, for the exchange control of references that are asked one kind only."""

    expect: Polarity
    """What they are expected to meet with."""
    items: int
    digest: str
    """sha256 (hex) of their ids and texts."""
    arms: tuple[Name, ...]
    """Who is asked."""


class LockedControl(Frozen):
    """What a reference answers itself, so that an audit without a target arm measures its own noise."""

    name: Name
    """The first of the candidates that it is for."""
    reference: Name
    engine_args: dict[str, JsonValue] = Field(default_factory=dict)
    """Of the candidates' engine: the shape in which it computes."""
    items: tuple[tuple[str, str], ...]
    """Battery and id, in the order in which they are asked."""
    tokens: int
    """So many are enough."""

    @property
    def job(self) -> str:
        """What the job is called that answers them."""
        return f"{self.reference} own answers for {self.name}"


class LockedMemory(Frozen):
    """What TAIS gives the vLLM of every arm that says nothing of memory: the same to all."""

    arms: tuple[Name, ...] = Field(min_length=1)
    """Arms and judges."""
    kv_cache_bytes: int | None = Field(None, gt=0)
    """On a CPU: the size of the KV cache."""
    gpu_memory_utilization: float | None = Field(None, gt=0, le=1)
    """On a GPU that others use: the share of its memory."""


class Lock(Frozen):
    """Everything that is fixed before the first token."""

    schema_: Literal["tais/lock/v1"] = Field("tais/lock/v1", alias="schema")
    name: Name
    manifest: ManifestSource
    limit: int | None = None
    arms: dict[Name, LockedArm]
    contrasts: tuple[LockedContrast, ...]
    batteries: tuple[LockedBattery, ...]
    sampling: Sampling
    rules: Rules
    versions: dict[str, str | None]
    rules_version: int = Field(FIRST_RULES, ge=1)
    """Of the rules that decide, see :data:`tais.manifest.rules_version.RULES_VERSION`."""
    judges: dict[Name, LockedArm] = Field(default_factory=dict)
    record: bool = False
    drill: bool = False
    sequential: LookSchedule | None = None
    sweep: Swept | None = None
    starts: dict[Name, tuple[Name, ...]] = Field(default_factory=dict)
    """All starts of the arms that have several, the first first."""
    probes: LockedProbes | None = None
    controls: tuple[LockedControl, ...] = ()
    environments: dict[Name, LockedEnvironment] = Field(default_factory=dict)
    """Of arms and judges that did not run on TAIS's own interpreter."""
    memory: LockedMemory | None = None
    """Chosen by what was free; None where every arm says its own, or none runs a vLLM here."""

    @model_validator(mode="after")
    def _whole(self) -> Lock:
        for stack in (*self.arms.values(), *self.judges.values()):
            if stack.environment is not None and stack.environment not in self.environments:
                raise ValueError(f"an arm names the environment {stack.environment!r}, which is not there")
        for contrast in self.contrasts:
            for arm in contrast.sides:
                if arm not in self.arms:
                    raise ValueError(f"a contrast names the arm {arm!r}, which is not there")
            if contrast.control is not None and contrast.control not in {c.name for c in self.controls}:
                raise ValueError(f"a contrast names the control {contrast.control!r}, which is not there")
        if self.memory is not None and not {*self.arms, *self.judges} >= set(self.memory.arms):
            raise ValueError("an arm that gets memory is not there")
        names = [battery.name for battery in self.batteries]
        if len(set(names)) != len(names):
            raise ValueError("a battery is named twice")
        for scorer in (s for battery in self.batteries for s in (battery.scorer, *battery.second_scorers)):
            judge = scorer.spec.get("judge", "")
            if judge != "" and not (isinstance(judge, str) and judge in self.judges):
                raise ValueError(f"a scorer asks the judge {judge!r}, which is not there")
        looks = self.sequential
        if looks is not None and not self.arms.keys() >= set(looks.arms):
            raise ValueError("an arm that may stop early is not there")
        if looks is not None and looks.batteries.keys() != set(names):
            raise ValueError("the looks are at other batteries")
        for first, starts in self.starts.items():
            if starts[:1] != (first,) or not self.arms.keys() >= set(starts):
                raise ValueError(f"the starts of {first!r} are not there")
        if self.probes is not None and not self.arms.keys() >= set(self.probes.arms):
            raise ValueError("an arm that is asked probes is not there")
        return self

    def to_bytes(self) -> bytes:
        """Return the file: what was set, keys sorted."""
        return json.dumps(plain(self), indent=1, ensure_ascii=True).encode() + b"\n"

    def without(self, *keys: str) -> Lock:
        """Return the lock as if some keys had never been set."""
        kept = {key: getattr(self, key) for key in self.model_fields_set if key not in keys}
        return Lock.model_validate(kept)

    def run_arms(self) -> list[str]:
        """Return the arms that a run holds, sorted: those of its contrasts, and in a recording all."""
        if self.record:
            return sorted(self.arms)
        used = {contrast.candidate for contrast in self.contrasts}
        # A reference that only scores answers nothing.
        used |= {contrast.reference for contrast in self.contrasts if contrast.audit != "only"}
        return sorted(used)

    def first_start(self, arm: str) -> str:
        """Return the arm of which another is a further start; itself where it is none."""
        return next((first for first, names in self.starts.items() if arm in names), arm)

    def versions_of(self, arm: str) -> dict[str, str | None]:
        """Return the versions of what answered for an arm or a judge."""
        stack = self.arms[arm] if arm in self.arms else self.judges[arm]
        if stack.environment is None:
            return self.versions
        found = self.environments[stack.environment]
        return {"python": found.python, **found.packages}

    @property
    def stopping_arms(self) -> tuple[str, ...]:
        """Arms that may stop before they have answered everything."""
        return () if self.sequential is None else self.sequential.arms

    @property
    def rules_changed(self) -> str:
        """What to say where other rules decided this run than decide here; empty where it was these."""
        if self.rules_version == RULES_VERSION:
            return ""
        return (
            f"rules changed: this run was decided by version {self.rules_version} of the verdict rules, and "
            f"version {RULES_VERSION} is at hand"
        )

    @property
    def item_count(self) -> int:
        """Items of all batteries."""
        return sum(battery.items for battery in self.batteries)


def plain(model: BaseModel) -> dict[str, JsonValue]:
    """Return a part of a lock as its file holds it: keys that were set, sorted."""
    found: JsonValue = _sorted(model.model_dump(mode="json", by_alias=True, exclude_unset=True))
    assert isinstance(found, dict)
    return found


def _sorted(value: JsonValue) -> JsonValue:
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value)}
    return [_sorted(item) for item in value] if isinstance(value, list) else value


def _text(value: JsonValue) -> str | None:
    return value if isinstance(value, str) else None
