"""Manifest: what to run. The models; :mod:`tais.manifest.load` reads and resolves a file into them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, PrivateAttr, StringConstraints, field_validator

from tais.common.differences import same_json
from tais.common.models import Strict
from tais.errors import ManifestError
from tais.manifest.environments import Environment
from tais.manifest.expanded_sweep import Swept
from tais.manifest.lossless import same_weights, why_not_lossless
from tais.manifest.sampling import Sampling, law_not_known

__all__ = [
    "ENGINE_NAMES",
    "MEMORY",
    "NAME",
    "OF_THE_MODEL",
    "TEACHER_NAMES",
    "Arm",
    "BatteryRef",
    "Contrast",
    "Hypothesis",
    "JudgeArm",
    "Manifest",
    "MixedBatch",
    "ProducedBy",
    "Resources",
    "Role",
    "Rules",
    "Sampling",
    "Sequential",
    "WaivedSensitivity",
]

# They belong to one set of weights; another model has its own.
OF_THE_MODEL = ("revision", "tokenizer")

TEACHER_NAMES = ("vllm", "transformers", "openai", "reference", "fake")
"""Those that can read given tokens, see :class:`tais.engines.base.Teacher`."""

ENGINE_NAMES = ("vllm", "openai", "transformers", "reference", "fake", "import")
"""Names of the rows of :data:`tais.engines.ENGINES`, which stands above this room."""

MEMORY = re.compile(r"([1-9]\d{0,9}) ?(MB|MiB|GB|GiB|TB|TiB)", re.ASCII)

NAME = r"^[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}$"
"""What can name a screen, an arm, a judge or a battery: each may become the name of a file."""

Text = Annotated[str, StringConstraints(min_length=1)]
Share = Annotated[float, Field(ge=0, le=1)]


def _a_day(value: str) -> str:
    try:
        return date.fromisoformat(value).isoformat()
    except ValueError as error:
        raise ValueError(f"must be a day, such as 2026-12-01, not {value[:40]!r}") from error


Day = Annotated[str, AfterValidator(_a_day)]
# Arguments of whoever renders.
_SAID_BY_TAIS = {
    "messages", "conversation", "chat_template", "add_generation_prompt", "continue_final_message",
    "tokenize", "tools", "documents", "padding", "truncation", "max_length", "return_tensors", "return_dict",
    "return_assistant_tokens_mask", "tokenizer_kwargs", "strftime_now", "raise_exception",
}  # fmt: skip


class Role(StrEnum):
    """What a contrast is for."""

    screen = "screen"
    calibration = "calibration"
    positive_control = "positive_control"


class Hypothesis(StrEnum):
    """What a pass states."""

    equivalence = "equivalence"
    non_inferiority = "non_inferiority"


class Sequential(Strict):
    """Looks at a candidate while it answers; it stops once they decide."""

    looks: int = Field(5, ge=2, le=50)
    """Planned looks, the last one at the end."""
    kind: Literal["obrien_fleming", "pocock", "betting"] = "obrien_fleming"
    """Boundary, see :class:`tais.stats.sequential.Boundary`."""


class WaivedSensitivity(Strict):
    """Endpoints that may pass although nothing shows them able to fail."""

    waived: tuple[Text, ...] = Field(min_length=1)
    """``battery/stratum``, or ``battery`` where a scorer has no polarity."""


class Rules(Strict):
    """How the verdict is reached.

    What a gate accepts is narrower; see :mod:`tais.gate.policy`.
    """

    margin: float = Field(0.03, gt=0, lt=1)
    alpha: float = Field(0.05, gt=0, lt=0.5)
    h_cutoff: float = Field(0.1, gt=0, le=10)
    """No h lies beyond pi: a larger cutoff turns the effect size off, which no gate accepts by default."""
    null_quantile: float = Field(0.99, gt=0.5, lt=1)
    exact: bool = False
    hypothesis: Hypothesis = Hypothesis.equivalence
    conformance_alpha: float = Field(0.01, gt=0, lt=0.5)
    """Level at which sampled tokens (temperature above 0) are said not to follow the target's law."""
    margin_scale: Literal["difference", "risk_ratio"] = "difference"
    """risk_ratio: the rate of outcomes that are not as expected may change by the factor 1 + margin."""
    accept_evidence: tuple[Literal["teacher_forced"], ...] = ()
    """Kinds of evidence beside matched outputs on which a pass may stand."""
    max_invalid: float = Field(0.05, ge=0, lt=1)
    """Largest share of invalid answers, per arm and endpoint, beside which an endpoint may pass."""
    max_leak: float | None = Field(None, gt=0, lt=1)
    """Share of tokens that may come from the draft, where sampled answers are audited alone (``audit: only``
    above temperature 0); without it they never pass."""
    min_treatment: float = Field(0.1, ge=0.1, le=1)
    """Least share of a speculating arm's answers that must hold an accepted token; at least 20 answers."""
    min_acceptance: Share | tuple[Share, ...] | None = None
    """Least acceptance of drafted tokens, where the token before was accepted: at every position, or a list
    for the first positions of a draft."""
    sequential: Sequential | None = None
    """Early stop; None answers every item. A whole number stands for that many looks."""

    sensitivity: Literal["required", "waived"] | WaivedSensitivity = "required"
    """Which endpoints must be shown able to fail: all, none, or all but those waived by name."""

    def waives(self, label: str) -> bool:
        """Return whether an endpoint, named ``battery/stratum``, need not be shown able to fail."""
        if isinstance(self.sensitivity, WaivedSensitivity):
            return label in self.sensitivity.waived
        return self.sensitivity == "waived"

    @field_validator("sequential", mode="before")
    @classmethod
    def _looks_alone(cls, value: Any) -> Any:
        short = isinstance(value, int) and not isinstance(value, bool)
        return {"looks": value} if short else value


class BatteryRef(Strict):
    """A battery by name or path, perhaps limited."""

    name: Text
    path: Text | None = None
    """Absolute after loading; None for a battery that ships with TAIS."""
    limit: int | None = Field(None, gt=0)
    margin: float | None = Field(None, gt=0, lt=1)
    scorer: str | dict[str, Any] | None = None
    """Takes the place of the battery's own."""
    second_scorers: tuple[str | dict[str, Any], ...] = ()
    """They look at the same answers and decide nothing: agreement, and flips that they confirm."""


class Resources(Strict):
    """What an arm takes of a machine; None follows from its engine's arguments."""

    gpus: int | None = Field(None, ge=0, le=1024)
    cpus: int | None = Field(None, ge=1, le=4096)
    memory: str | None = None
    """Main memory with its unit, such as ``64GiB``."""

    @field_validator("memory")
    @classmethod
    def _with_a_unit(cls, value: str | None) -> str | None:
        if value is not None and not MEMORY.fullmatch(value):
            raise ValueError("must be an amount of memory with its unit, such as 64GiB")
        return value


class ProducedBy(Strict):
    """What produced outputs that exist already, in their author's words; nobody can check them."""

    tool: Text
    time: Text
    host: Text


class MixedBatch(Strict):
    """Requests beside those of the screen, drawn in another way; their answers are not kept."""

    temperature: float = Field(1.0, ge=0, le=2)
    top_p: float = Field(1.0, gt=0, le=1)
    top_k: int = Field(0, ge=0)
    share: float = Field(0.5, gt=0, le=1)
    """So many, for each request of the screen."""


class Arm(Strict):
    """One serving stack, `extends` already resolved and local paths absolute."""

    name: str
    engine: Text
    model: Text | None = None
    revision: Text | None = None
    tokenizer: Text | None = None
    dtype: Text | None = None
    order: Literal["battery", "shuffled"] = "battery"
    engine_args: dict[str, Any] = Field(default_factory=dict)
    """Goes to the engine untouched."""
    speculative_config: dict[str, Any] | None = None
    """Goes to the engine untouched, but that the path of a local draft becomes absolute."""
    path: Text | tuple[Text, ...] | None = None
    """Outputs of an `import` arm: a file, or several; a folder stands for the files in it."""
    format: Text | None = None
    """Layout of an import arm's outputs; None recognises it."""
    columns: dict[Text, Text] | None = None
    """Of an import arm: from the keys of TAIS's own lines to the columns of a table."""
    only: dict[Text, str] | None = None
    """Of an import arm: which of several providers, prompts or models in one file."""
    produced_by: ProducedBy | None = None
    """Of an `import` arm: tells two files of equal answers apart."""
    environment: Text | None = None
    """Which of the manifest's `environments` it runs in; None is that of TAIS."""
    python: Text | None = None
    """Its interpreter; after loading also that of its environment, and absolute. Stands in no lock's arm."""
    resources: Resources | None = None
    """Decides where an arm can run, never what it computes; stands in no lock's arm."""
    chat_template: Text | None = None
    """File with a template that takes the place of the tokenizer's."""
    system_prompt: str | None = None
    chat_template_kwargs: dict[str, Any] | None = None
    """What the template reads beside the conversation (``enable_thinking``, ``reasoning_effort``, ...)."""
    chat_template_date: Day | None = None
    """The day that a template reads from its clock. Planning fills in the manifest's, else today, where the
    template may read it."""
    start_of: str | None = None
    """The arm of which this is a further start (``starts: k``): the same in all but the process."""
    mixed_batch: MixedBatch | None = None
    """What else is in its batches."""
    fault: dict[str, Any] | None = None
    """In a drill: a fault to plant (``name`` and its parameters), see :mod:`tais.lab.drill.faults`."""
    _named_outputs: frozenset[str] = PrivateAttr(frozenset())

    @property
    def named_outputs(self) -> frozenset[str]:
        """Files of `path` that the manifest names one by one, and not by their folder; its loader knows."""
        return self._named_outputs

    def with_named_outputs(self, files: Iterable[str]) -> Self:
        """Return the same arm, which knows that these files of `path` were named."""
        same = self.model_copy()
        same._named_outputs = frozenset(files)
        return same

    @field_validator("chat_template_kwargs")
    @classmethod
    def _not_ours(cls, value: dict[str, Any] | None) -> dict[str, Any] | None:
        for key in value or ():
            if not key.isidentifier() or key in _SAID_BY_TAIS:
                raise ValueError(f"{key!r} is no variable that a manifest can set in a template")
        return value

    @property
    def attached(self) -> bool:
        """Whether a server that runs already answers: `model` is then the name that it knows."""
        return self.engine == "openai" and "serve" not in self.engine_args


class JudgeArm(Arm):
    """A model that judges answers: an arm by another role, always at temperature 0."""

    max_tokens: int | None = Field(None, gt=0)
    """Longest reply; None takes what the scorers that ask it need."""


class Contrast(Strict):
    """Reference arm against candidate arm."""

    reference: str
    candidate: str
    role: Role = Role.screen
    lossless: bool | None = None
    """What the author claims; None leaves it to :meth:`Manifest.is_lossless`."""
    audit: bool | Literal["only"] | None = None
    """Whether the reference stack scores every token of the candidate. ``only``: instead of answering
    itself. None: only where the two diverge, see :meth:`Manifest.audit_of`."""


class Manifest(Strict):
    """A resolved manifest."""

    name: str
    arms: dict[str, Arm]
    contrasts: tuple[Contrast, ...]
    """May be empty in a recording."""
    batteries: tuple[BatteryRef, ...]
    environments: dict[str, Environment] = Field(default_factory=dict)
    """Interpreters with packages of their own, for arms that name them."""
    sampling: Sampling = Sampling()
    rules: Rules = Rules()
    judges: dict[str, JudgeArm] = Field(default_factory=dict)
    chat_template_date: Day | None = None
    """The day that templates read from their clock, where an arm says none; None is that of the lock."""
    record: bool = False
    """Run every arm, and do without a contrast to screen: a stored side for ``tais compare``."""
    sweep: Swept | None = None
    """What a sweep came to; its arms and contrasts stand among the others. See :mod:`tais.manifest.sweep`."""
    starts: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """All starts of the arms that have several, the first first. See :mod:`tais.manifest.starts`."""
    drill: bool = False
    """Arms may have faults: the run shows what the screen sees, and says nothing of any stack."""
    source: dict[str, Any] = Field(default_factory=dict, repr=False)
    """The file as written: `extends` not resolved, paths relative."""

    _file: Path | None = PrivateAttr(None)

    @property
    def file(self) -> Path:
        """Where it was read from; see :func:`tais.manifest.load.load_manifest`."""
        if self._file is None:
            raise ManifestError("this manifest was not read from a file", remedy="Read it with load_manifest")
        return self._file

    @property
    def used_environments(self) -> dict[str, Environment]:
        """The environments that an arm or a judge runs in, by name."""
        named = {arm.environment for arm in (*self.arms.values(), *self.judges.values())}
        return {name: self.environments[name] for name in sorted(self.environments) if name in named}

    def read_from(self, path: Path) -> Manifest:
        """Return the same manifest, with the file that it was read from."""
        same = self.model_copy()
        same._file = path
        return same

    def is_lossless(self, contrast: Contrast) -> bool:
        """Return whether a contrast claims that the candidate chooses the reference's tokens.

        Unless it says so itself, it does where :func:`tais.manifest.lossless.why_not_lossless` knows of
        nothing against it: both arms serve the same target weights in the same dtype on the same engine,
        with the same parallelism, attention and cache, and use no method known to be lossy.
        """
        if contrast.lossless is not None:
            return contrast.lossless
        return not why_not_lossless(self.arms[contrast.reference], self.arms[contrast.candidate])

    def audit_of(self, contrast: Contrast) -> Literal["none", "divergences", "full", "only"]:
        """Return what of the candidate's answers the reference stack scores.

        Where nothing is said: the tokens at which greedy answers of the same target diverge, as far as
        the reference's engine can score and knows the settings. A positive control is meant to diverge.
        """
        if contrast.audit == "only":
            return "only"
        if contrast.audit is not None or contrast.role is Role.positive_control:
            return "full" if contrast.audit else "none"
        reference, candidate = self.arms[contrast.reference], self.arms[contrast.candidate]
        greedy = self.sampling.temperature == 0
        same = same_weights(reference, candidate)
        known = reference.engine in TEACHER_NAMES and not law_not_known(reference.engine, self.sampling)
        return "divergences" if greedy and same and known else "none"

    def stops_early(self, name: str) -> bool:
        """Return whether an arm may be stopped before it has answered everything.

        An arm that is screened and nothing else may: what calibrates, what a control shows and what others
        are held against is needed whole, and so are tokens whose law is tested at one level. Outputs that
        exist already save nothing.
        """
        own = [contrast for contrast in self.contrasts if name in (contrast.reference, contrast.candidate)]
        tested = ("only", "full") if self.sampling.temperature > 0 else ("only",)
        return (
            self.rules.sequential is not None
            and self.arms[name].engine != "import"
            and bool(own)
            and all(
                c.candidate == name and c.role is Role.screen and self.audit_of(c) not in tested for c in own
            )
        )

    def differences(self, reference: str, candidate: str) -> list[tuple[str, object, object]]:
        """Return the settings in which two arms differ.

        Parameters
        ----------
        reference, candidate
            Names of arms.

        Returns
        -------
        list of (str, object, object)
            Dotted key and both values, None where an arm leaves the key out. Sorted by key.
        """
        own = {"name", "resources", "start_of"}
        first, second = (self.arms[name].model_dump(exclude=own) for name in (reference, candidate))
        return sorted(_differences(first, second), key=lambda difference: difference[0])


def _differences(first: Any, second: Any, key: str = "") -> list[tuple[str, object, object]]:
    if same_json(first, second):
        return []
    sides = [{} if side is None else side for side in (first, second)]
    if not all(isinstance(side, dict) for side in sides) or not any(sides):
        return [(key, first, second)]
    inner = dict.fromkeys([*sides[0], *sides[1]])
    return [
        found
        for name in inner
        for found in _differences(sides[0].get(name), sides[1].get(name), f"{key}.{name}" if key else name)
    ]
