"""Scores of sampled tokens (T > 0) into a test of their law, some answers at a time.

The law of a token is known on the best tokens that the target lists; where the draft's list lacks one of
them, it joins the rest. Both lists are fixed by the prefix, so the tests stay exact on what is left.
"""

from __future__ import annotations

import hashlib
import math
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tais.analysis.law_alternatives import Scores, explain, places
from tais.analysis.planted import PlantedLeaks
from tais.manifest.model import Sampling
from tais.rundir.audits import Scored, read_scores
from tais.rundir.engine_record import EngineRecord, read_engine
from tais.rundir.layout import RunDir
from tais.rundir.lock_model import LockedContrast
from tais.stats.conformance.alternatives import LawFit
from tais.stats.conformance.conformance import Conformance, ConformanceResult, against_control
from tais.stats.conformance.laws import IntArray, TokenLaws
from tais.stats.proportions import FloatArray
from tais.verdict.evidence import ConformanceEvidence

__all__ = ["Warp", "edge_of", "fold_conformance", "listed_laws", "top_of"]

# Best tokens kept per position: of the target what it lists, of the draft enough to find them again.
_LISTED = 20
_WIDE = 1024
_DRAFT_TIMES = 4
# Bytes of scores held at a time.
_HELD = 256 << 20
# How far rounding alone moves the scores of two tokens apart between two passes (nats at temperature 1): some
# more than the largest that was measured (docs/audit.md). So near a cut a token may lie on its other side.
_EDGE = {"float32": 1e-3, "float16": 0.04}
_COARSE_EDGE = 0.25
_FINEST_FIRST = ("float32", "float16")
# Above this p no other law is looked for: a screen that fails at such a level fails by chance.
_ASKS_WHY = 0.05


class Warp(NamedTuple):
    """What cuts the law after the temperature."""

    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0

    @property
    def cuts(self) -> bool:
        """Whether any token is cut."""
        return self.top_k > 0 or self.top_p < 1 or self.min_p > 0


def top_of(sampling: Sampling, *, draft: bool) -> int:
    """Return how many best tokens a stack must list for the tests at this sampling."""
    listed = max(_LISTED, sampling.top_k)
    if sampling.top_p < 1 or sampling.min_p > 0:
        # The law is known where the list holds all of the nucleus.
        listed = max(listed, _WIDE)
    return _DRAFT_TIMES * listed if draft else listed


def fold_conformance(
    run: RunDir,
    contrast: LockedContrast,
    sampling: Sampling,
    planned: int,
    max_leak: float | None = None,
) -> ConformanceEvidence | None:
    """Test the tokens of a candidate, and of the reference as its control, against the reference's law.

    Parameters
    ----------
    run, contrast, sampling
        What was run.
    planned
        Answers that the candidate was asked for.
    max_leak
        Share of tokens that the draft may have drawn in answers that stand alone: so many are planted.

    Returns
    -------
    ConformanceEvidence or None
        None where nothing was scored.
    """
    reference, candidate = contrast.sides
    own = run.audit(reference, "own")
    scored_by = read_engine(own)
    if not scored_by.started:
        return None
    draft = run.audit(reference, f"draft-{candidate}")
    drafted = draft if read_engine(draft).started else None
    warp = Warp(sampling.top_k, sampling.top_p, sampling.min_p)
    engine = read_engine(run.arm(candidate))
    onset = np.array(scored_by.refusal_onset, np.int64)
    dtype = _coarser(engine.dtype, scored_by.dtype)
    edge = edge_of(dtype, sampling.temperature)
    greedy = _drafts_greedily(engine)
    alone = contrast.audit == "only"
    leaks = None
    if alone and drafted is not None and max_leak is not None:
        leaks = PlantedLeaks(max_leak, _seed(sampling, reference, candidate, "planted"))
    arms = [candidate] if alone else [candidate, reference]
    gathered = [_Arm(arm, own, drafted, warp, edge, onset, greedy=greedy, leaks=leaks) for arm in arms]
    results = [arm.result(_seed(sampling, reference, arm.arm)) for arm in gathered]
    tested, control = results[0], results[1] if len(results) > 1 else None
    if tested is None:
        return None
    unlike = tested.impossible > 0 or tested.p < _ASKS_WHY
    why = gathered[0].explain(_seed(sampling, reference, candidate, "why")) if unlike else None
    return ConformanceEvidence(
        candidate=tested,
        control=control,
        against=against_control(tested, control) if control is not None else None,
        left_out=gathered[0].left_out,
        draft="none" if drafted is None else "greedy" if greedy else "sampled",
        dtype=dtype,
        missing=max(0, planned - _without_room(own, candidate) - tested.samples),
        planted=None if leaks is None else leaks.result(),
        temperature=sampling.temperature,
        why=why,
    )


def edge_of(dtype: str, temperature: float) -> float:
    """Return how far rounding may move the scores of two tokens apart: logits move, and are then divided."""
    return _EDGE.get(dtype, _COARSE_EDGE) / temperature


def _coarser(*dtypes: str) -> str:
    """Return the coarsest dtype in which a token was drawn or scored: its rounding is what is seen."""
    coarse = [dtype for dtype in dtypes if dtype not in _FINEST_FIRST]
    return coarse[0] or "unknown" if coarse else max(dtypes, key=_FINEST_FIRST.index)


def _without_room(own: Path, candidate: str) -> int:
    """Return how many answers were planned out: the context has no room for one."""
    return sum(scored.no_room for scored in read_scores(own) if scored.key.arm == candidate)


def _seed(sampling: Sampling, *parts: str) -> int:
    """Return the seed of the transform: fixed by the lock, before any token is drawn."""
    text = "\x1f".join([str(sampling.seed), *parts])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:7], "big")


def _drafts_greedily(engine: EngineRecord) -> bool:
    """Whether the draft proposes its best token instead of drawing from its law."""
    config = engine.speculation
    method = config.get("draft_sample_method", "greedy") if isinstance(config, dict) else "greedy"
    return str(method) != "probabilistic"


class _Arm:
    """The tokens of one arm under target and draft."""

    def __init__(
        self,
        arm: str,
        own: Path,
        draft: Path | None,
        warp: Warp,
        edge: float,
        onset: IntArray,
        *,
        greedy: bool,
        leaks: PlantedLeaks | None = None,
    ) -> None:
        self.leaks = leaks
        self.arm, self.own, self.draft, self.warp, self.edge = arm, own, draft, warp, edge
        self.onset = onset
        self.greedy = greedy
        self.left_out = 0
        self._clusters: dict[tuple[str, str], int] = {}

    def result(self, seed: int) -> ConformanceResult | None:
        conformance = Conformance(seed)
        tokens = 0
        buckets = self._buckets()
        for bucket in range(buckets):
            for target, draft in self._pairs(bucket, buckets):
                laws = self._laws(target, draft)
                if len(laws):
                    conformance.update(laws)
                    if self.leaks is not None:
                        self.leaks.add(laws)
                    tokens += len(laws)
        return conformance.result() if tokens else None

    def _buckets(self) -> int:
        """Return into how many parts to cut the answers, so that each fits into memory."""
        held = 0
        for folder in filter(None, (self.own, self.draft)):
            held += sum(s.top_tokens.nbytes * 2 for s in self._scored(folder))
        return held // _HELD + 1

    def _scored(self, folder: Path) -> Iterator[Scored]:
        for scored in read_scores(folder):
            if scored.key.arm == self.arm and scored.prompt_fits is not False and len(scored.given):
                yield scored

    def _pairs(self, bucket: int, buckets: int) -> Iterator[tuple[Scored, Scored | None]]:
        """Yield one bucket's answers by key: an order that no token has a say in."""
        chosen: Callable[[Scored], bool] = lambda s: _hash(s) % buckets == bucket  # noqa: E731
        target = {s.key: s for s in self._scored(self.own) if chosen(s)}
        draft = {s.key: s for s in self._scored(self.draft) if chosen(s)} if self.draft else {}
        for key in sorted(target):
            if self.draft is None:
                yield target[key], None
            elif key in draft:
                # One of the two may not know how an answer ends, and has no row for its end.
                n = min(len(target[key].given), len(draft[key].given))
                self.left_out += len(target[key].given) - n
                yield target[key].first(n), draft[key].first(n)
            else:
                self.left_out += len(target[key].given)

    def explain(self, seed: int) -> LawFit | None:
        """Return the other law that explains the tokens best; the count of what was left out stays."""
        left_out, buckets = self.left_out, self._buckets()
        answers = (
            Scores(target, draft, self._cluster(target))
            for bucket in range(buckets)
            for target, draft in self._pairs(bucket, buckets)
        )
        cut = (lambda scores: _warped(scores, self.warp, self.edge)[0]) if self.warp.cuts else None
        found = explain(
            answers, cut, lambda ids, draft: _draft_cells(ids, draft, greedy=self.greedy)[0], seed
        )
        self.left_out = left_out
        return found

    def _cluster(self, target: Scored) -> int:
        return self._clusters.setdefault((target.key.battery, target.key.item_id), len(self._clusters))

    def _laws(self, target: Scored, draft: Scored | None) -> TokenLaws:
        laws, kept = listed_laws(
            target,
            draft,
            self.warp,
            self.edge,
            self._cluster(target),
            target.key.repeat,
            greedy=self.greedy,
        )
        self.left_out += int((~kept).sum())
        if not len(self.onset):
            return laws
        return replace(laws, scores=self._onset(target)[kept])

    def _onset(self, target: Scored) -> FloatArray:
        """Score the first token of an answer by whether it opens a refusal; the rest counts as none."""
        scores = np.zeros((len(target.given), target.top_tokens.shape[1] + 1))
        if target.key.first == 0 and len(scores):
            scores[0, :-1] = np.isin(target.top_tokens[0], self.onset)
        return scores


def _hash(scored: Scored) -> int:
    return zlib.crc32("\x1f".join(map(str, scored.key)).encode())


def listed_laws(
    target: Scored,
    draft: Scored | None,
    warp: Warp,
    edge: float,
    cluster: int,
    sample: int,
    *,
    greedy: bool,
) -> tuple[TokenLaws, NDArray[np.bool_]]:
    """Return the laws of one answer's tokens, and which tokens they are of.

    Parameters
    ----------
    target, draft
        Log-probabilities of the same tokens at the temperature of the run; no draft where it has no law.
    warp
        Min-p, top-k and top-p of the run, applied in this order as vLLM does.
    edge
        How far rounding may move the scores of two tokens apart (nats), so also across a cut.
    cluster, sample
        Numbers of prompt and answer.
    greedy
        Whether the draft proposes its best token.

    Returns
    -------
    laws
        Of the tokens kept.
    kept
        Shape (n,). Left out are tokens whose law reaches beyond the list, and those at the edge of a cut.
    """
    n, k = target.top_scores.shape
    ids = target.top_tokens.astype(np.int64)
    scores = target.top_scores.astype(np.float64)
    logprobs, known, near = _warped(scores, warp, edge)
    given = _cell(ids, target.tokens.astype(np.int64))
    inside = given < k
    at = np.minimum(given, k - 1)[:, None]
    cut = np.where(inside, np.isneginf(np.take_along_axis(logprobs, at, axis=1)[:, 0]), warp.cuts)
    least = np.where(np.isneginf(logprobs), np.inf, scores).min(axis=1)
    close = np.where(inside, np.take_along_axis(near, at, axis=1)[:, 0], target.given >= least - edge)
    kept = known & ~(cut & close)
    mass, q = np.zeros(n), None
    if draft is not None:
        q, lost = _draft_cells(ids, draft, greedy=greedy)
        # What the draft does not list joins the rest, and so does a token there.
        mass = np.where(lost, np.exp(logprobs), 0.0).sum(axis=1)
        logprobs = np.where(lost, -np.inf, logprobs)
        given = np.where(inside & ~cut & np.take_along_axis(lost, at, axis=1)[:, 0], k, given)
    with np.errstate(divide="ignore"):
        # After a cut nothing is left there but what joined it.
        rest = np.log(mass)[kept] if warp.cuts else None
    whole = np.full(int(kept.sum()), 1, dtype=np.int64)
    laws = TokenLaws(
        logprobs[kept],
        given[kept],
        cluster * whole,
        sample * whole,
        None if q is None else q[kept],
        rest,
    )
    return laws, kept


def _cell(ids: IntArray, tokens: IntArray) -> IntArray:
    hit = ids == tokens[:, None]
    return np.where(hit.any(axis=1), hit.argmax(axis=1), ids.shape[1]).astype(np.int64)


def _warped(
    scores: FloatArray, warp: Warp, edge: float
) -> tuple[FloatArray, NDArray[np.bool_], NDArray[np.bool_]]:
    """Cut and renormalise the best tokens.

    Parameters
    ----------
    scores
        Log-probabilities in descending order, shape (n, k).
    warp, edge
        As of :func:`listed_laws`.

    Returns
    -------
    logprobs
        Shape (n, k), -inf where cut.
    known
        Whether the list holds all that the cuts leave, shape (n,).
    near
        Whether a token is kept or lies at the edge of a cut, shape (n, k).
    """
    known = np.ones(len(scores), dtype=np.bool_)
    near = np.ones(scores.shape, dtype=np.bool_)
    if not warp.cuts:
        return scores, known, near
    kept = np.ones(scores.shape, dtype=np.bool_)
    if warp.min_p:
        least = scores[:, :1] + np.log(warp.min_p)
        kept, near = scores >= least, scores >= least - edge
        if not warp.top_k:
            known = ~kept[:, -1]
    if warp.top_k:
        last = scores[:, min(warp.top_k, scores.shape[1]) - 1][:, None]
        kept, near = kept & (scores >= last), near & (scores >= last - edge)
    law = np.where(kept, np.exp(scores), 0.0)
    if warp.top_k or warp.min_p:
        law /= law.sum(axis=1, keepdims=True)
    if warp.top_p < 1:
        known &= law.sum(axis=1) >= warp.top_p
        before = np.cumsum(law, axis=1) - law
        near &= _reachable(scores, law, before, warp.top_p, edge)
        law = np.where(before < warp.top_p, law, 0.0)
        law /= law.sum(axis=1, keepdims=True)
    with np.errstate(divide="ignore"):
        return np.log(law), known, near


def _reachable(
    scores: FloatArray, law: FloatArray, before: FloatArray, top_p: float, edge: float
) -> NDArray[np.bool_]:
    """Return which tokens top-p keeps where the scores of any two tokens may move apart by an edge.

    Only tokens that lie above by more than the edge are sure to stand before one, and the odds of all that
    stand before it err by no more than the edge.
    """
    surely = np.empty_like(before)
    for row in range(len(scores)):
        # In descending order: those above by more than the edge are the first so many.
        above = np.searchsorted(-scores[row], -(scores[row] + edge), side="left")
        surely[row] = np.concatenate([before[row], [before[row, -1] + law[row, -1]]])[above]
    with np.errstate(divide="ignore"):
        odds = np.log(surely) - np.log1p(-np.minimum(surely, 1.0))
        return np.asarray(odds - edge < math.log(top_p) - math.log1p(-top_p))


def _draft_cells(ids: IntArray, draft: Scored, *, greedy: bool) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Return the draft's log-probabilities of the target's best tokens, and which it does not list."""
    if greedy:
        best = draft.top_tokens[:, :1].astype(np.int64)
        with np.errstate(divide="ignore"):
            return np.log((ids == best).astype(np.float64)), np.zeros(ids.shape, dtype=np.bool_)
    at, found = places(ids, draft.top_tokens.astype(np.int64))
    own = np.take_along_axis(draft.top_scores.astype(np.float64), at, axis=1)
    return np.where(found, own, -np.inf), ~found
