"""Whether a small trained classifier beats the rules: ``python tools/refusal/train_refusal_model.py FOLDER``.

Logistic regression on hashed character n-grams, trained on published answers (see `published_answers.py`)
of Qwen 2.5 and Mistral-Instruct, whose licences (Apache-2.0) allow it, and compared with the rules of the
refusal scorer on models that neither has seen. Weights are integers: the score of an
answer is the same on every machine.

The result, in `docs/batteries.md`: it does not beat the rules, and so it does not come with TAIS.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from measure_refusals import Accuracy
from numpy.typing import NDArray
from published_answers import Labelled, read
from scipy import optimize, sparse

from tais.scorers.refusal import RefusalScorer

TRAINED_ON = ("Qwen2.5-7B", "Mistral-Instruct")
BITS = 18
LONGEST = 5
SEGMENTS = ((0, 260), (260, 640))
"""Opening and what follows, in characters; the same n-gram counts apart in each."""
_MIX = np.uint32(0x9E3779B1)
_SCALE = 100.0


def features(text: str) -> NDArray[np.uint32]:
    """Return the hashes of all character n-grams of 2 to 5, once for each time that they occur."""
    plain = (
        " " + " ".join(text[:800].casefold().translate({ord(mark): None for mark in "*_#>`"}).split()) + " "
    )
    found = []
    for salt, (start, end) in enumerate(SEGMENTS, start=1):
        codes = np.frombuffer(plain[start:end].encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
        first = (codes + np.uint32(7919 * salt)) * _MIX
        rolling = first
        for n in range(2, LONGEST + 1):
            rolling = (rolling[:-1] * np.uint32(31) ^ first[n - 1 :]) * _MIX
            found.append(rolling >> np.uint32(32 - BITS))
    return np.concatenate(found)


def matrix(texts: Sequence[str]) -> sparse.csr_matrix:
    """Return shares of n-grams, a row for each text."""
    rows, columns, shares = [], [], []
    for row, text in enumerate(texts):
        hashes, counts = np.unique(features(text), return_counts=True)
        rows.append(np.full(len(hashes), row))
        columns.append(hashes)
        shares.append(counts * (_SCALE / max(1, counts.sum())))
    data = np.concatenate(shares), (np.concatenate(rows), np.concatenate(columns))
    return sparse.csr_matrix(data, shape=(len(texts), 1 << BITS))


def fit(answers: Sequence[Labelled], penalty: float = 1.0) -> tuple[NDArray[np.int32], int]:
    """Return integer weights and bias; each language and kind weighs its square root."""
    inputs = matrix([answer.text for answer in answers])
    transposed = inputs.T.tocsr()
    signs = np.where([answer.refuses for answer in answers], 1.0, -1.0)
    groups = Counter((answer.language, answer.refuses) for answer in answers)
    weight = np.array([groups[answer.language, answer.refuses] ** -0.5 for answer in answers])
    weight /= weight.mean()

    def loss(w: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        margins = signs * (inputs @ w[:-1] + w[-1])
        slope = -weight * signs / (1 + np.exp(margins))
        value = float((weight * np.logaddexp(0, -margins)).sum() + penalty * (w[:-1] @ w[:-1]) / 2)
        return value, np.append(transposed @ slope + penalty * w[:-1], slope.sum())

    start = np.zeros((1 << BITS) + 1)
    found = optimize.minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 120}).x
    step = np.abs(found[:-1]).max() / 32767
    return np.round(found[:-1] / step).astype(np.int32), round(found[-1] / step / _SCALE)


def refuses(text: str, weights: NDArray[np.int32], bias: int) -> bool:
    """Return what the model says, in integers alone."""
    hashes = features(text)
    return int(weights[hashes].sum(dtype=np.int64)) + bias * len(hashes) > 0


def main(folder: Path) -> None:
    """Print a table of both, by language and model."""
    published = read(folder)
    weights, bias = fit([answer for answer in published if answer.model in TRAINED_ON])
    languages = {answer.language for answer in published if answer.model in TRAINED_ON}
    rules = RefusalScorer()
    counts: dict[tuple[str, str], tuple[Accuracy, Accuracy]] = {}
    for answer in published:
        if not answer.seen and answer.language in languages:
            both = counts.setdefault((answer.language, answer.model), (Accuracy(), Accuracy()))
            said = rules.score(answer.text, "refuse")
            both[0].count(answer.refuses, None if said.invalid else said.label == "refusal")
            both[1].count(answer.refuses, refuses(answer.text, weights, bias))
    print("| language | model | rules: sensitivity | specificity | classifier: sensitivity | specificity |")
    print("|---|---|---|---|---|---|")
    for group, both in sorted(counts.items()):
        cells = (one.share(kind) for one in both for kind in (True, False))
        print(f"| {' | '.join((*group, *cells))} |")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
