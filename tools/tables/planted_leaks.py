"""Plant a draft's tokens in real answers and see whether the audit finds them: a table of docs/audit.md.

``python tools/tables/planted_leaks.py`` (some minutes) rewrites it. The demo target answers its batteries on
vLLM; target and draft then score every token of those answers. A planted leak is a token exchanged for the
draft's own choice at its place; it shows where the target scores that choice below its best by more than the
band. What follows a planted token is left out, so detection is understated.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools" / "bench"))
DOCUMENT = ROOT / "docs" / "audit.md"
DRAFTS = ("draft", "adversarial")
DTYPES = ("float32", "bfloat16")
RATES = (0, 10_000, 1_000, 100, 10)
REPETITIONS = 1000
SEED = 20_261_121


def answer(dtype: str) -> dict[str, Any]:
    """Answer all items greedily; return the answers' tokens."""
    from bench_audit import _arm, _requests

    from tais.engines.vllm.engine import VllmEngine
    from tais.manifest.model import Sampling

    engine = VllmEngine()
    engine.start(_arm().model_copy(update={"dtype": dtype}))
    found = {
        s.key.item_id: s for s in engine.generate(_requests(520), Sampling(max_tokens=64)) if s is not None
    }
    return {"answers": [list(found[r.key.item_id].token_ids or ()) for r in _requests(520)]}


def score(
    dtype: str, model: str, answers: list[list[int]], choices: list[list[int]] | None
) -> dict[str, Any]:
    """Return a model's own choices at the places of some answers, and its margins of given choices."""
    from bench_audit import _arm, _requests

    from tais.engines.vllm.teacher_forcing import VllmTeacher
    from tais.records import ScoreRequest

    target = _arm()
    folder = str(ROOT / "models" / "demo" / model)
    engine = VllmTeacher()
    engine.start_forcing(
        target.model_copy(update={"dtype": dtype, "model": folder, "tokenizer": target.model}), 0.0, 1536
    )
    asked = [ScoreRequest(r, a, 0) for r, a in zip(_requests(520), answers, strict=True)]
    places = {request.request.key: index for index, request in enumerate(asked)}
    best: list[list[int]] = [[] for _ in asked]
    own: list[list[float]] = [[] for _ in asked]
    margins: list[list[float]] = [[] for _ in asked]
    scale = 0.0
    for found in engine.force(asked):
        if found is None:
            continue
        place = places[found.request.request.key]
        top = found.top_scores[:, 0]
        scale = max(scale, float(np.abs(top).max()))
        best[place] = found.top_tokens[:, 0].tolist()
        own[place] = (top - found.given).tolist()
        if choices is not None:
            # The whole vocabulary is listed, so every choice is there.
            at = (found.top_tokens == np.array(choices[place])[:, None]).argmax(axis=1)
            margins[place] = (top - found.top_scores[np.arange(len(at)), at]).tolist()
    return {"best": best, "own": own, "margins": margins, "scale": scale}


def apart(task: str, **job: Any) -> dict[str, Any]:
    """Run a task in a process of its own."""
    from bench import environment

    with tempfile.TemporaryDirectory() as folder:
        given, made = Path(folder) / "in.json", Path(folder) / "out.json"
        given.write_text(json.dumps(job), encoding="utf-8")
        command = [sys.executable, __file__, task, str(given), str(made)]
        subprocess.run(command, capture_output=True, env=environment(), check=True)
        found: dict[str, Any] = json.loads(made.read_text(encoding="utf-8"))
    return found


def flat(lists: list[list[float]]) -> NDArray[np.float64]:
    """Join lists."""
    return np.array([value for values in lists for value in values])


def rows() -> list[list[str]]:
    """Measure, plant and count."""
    from tais.stats.rounding_band import ROUNDOFF, band

    rng, found = np.random.default_rng(SEED), []
    for dtype in DTYPES:
        answers = apart("answer", dtype=dtype)["answers"]
        for draft in DRAFTS:
            choices = apart("score", dtype=dtype, model=draft, answers=answers, choices=None)["best"]
            target = apart("score", dtype=dtype, model="target", answers=answers, choices=choices)
            control, leaked = flat(target["own"]), flat(target["margins"])
            width = band(control[control > 0], ROUNDOFF[dtype], target["scale"]).width
            shows = leaked > width
            for rate in RATES:
                planted = round(len(leaked) / rate) if rate else 0
                draws = (rng.choice(len(shows), planted, replace=False) for _ in range(REPETITIONS))
                hits = np.array([shows[draw].sum() for draw in draws])
                false = (control > width).any()
                flagged = float(((hits > 0) | false).mean())
                name = f"1 in {rate:,} ({planted})" if rate else "none"
                seen = f"{hits.mean() / planted:.3f}" if planted else ""
                found.append([dtype, draft, f"{width:.2g}", name, f"{flagged:.3f}", seen])
    return found


def main() -> None:
    """Rewrite the table."""
    from statistics_tables import table

    head = ["dtype", "draft", "band", "planted", "arms flagged", "planted tokens seen"]
    made = table(head, rows())
    text = DOCUMENT.read_text(encoding="utf-8")
    first, last = "<!-- table: planted -->\n", "<!-- end: planted -->"
    before, after = text.split(first)[0], text.split(last)[1]
    DOCUMENT.write_text(f"{before}{first}{made.rstrip()}\n{last}{after}", encoding="utf-8")
    print(made)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        given = json.loads(Path(sys.argv[2]).read_text(encoding="utf-8"))
        result = answer(**given) if sys.argv[1] == "answer" else score(**given)
        Path(sys.argv[3]).write_text(json.dumps(result), encoding="utf-8")
    else:
        main()
