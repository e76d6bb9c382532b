"""What a reference without an arm of its own answers, so that its noise is measured."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace
from typing import Any

from tais.manifest.model import Manifest
from tais.plan.controls import ENOUGH, plan_controls


def manifest(temperature: float = 0.0, **candidates: dict[str, Any]) -> Manifest:
    target = {"engine": "transformers", "model": "m", "engine_args": {"batch_size": 16, "device": "cpu"}}
    arms = {"target": target, **{name: {**target, **made} for name, made in candidates.items()}}
    return Manifest.model_validate(
        {
            "name": "made",
            "arms": {name: {"name": name, **arm} for name, arm in arms.items()},
            "contrasts": [{"reference": "target", "candidate": name, "audit": "only"} for name in candidates],
            "batteries": [{"name": "a"}],
            "sampling": {"temperature": temperature},
        }
    )


def battery(name: str, items: int) -> Any:
    """Prompts of all lengths, the longest first."""
    made = [
        SimpleNamespace(id=f"{name}-{i:03d}", messages=(SimpleNamespace(content="x" * (items - i)),))
        for i in range(items)
    ]
    return SimpleNamespace(name=name, items=made)


def test_items_are_of_all_batteries_and_lengths() -> None:
    found = plan_controls(manifest(spec={}), [battery("a", 400), battery("b", 300), battery("few", 3)])[0]
    assert found.tokens == ENOUGH == 2000
    assert len(set(found.items)) == len(found.items) == 160
    drawn = Counter(name for name, _ in found.items)
    assert drawn["few"] == 3
    assert abs(drawn["a"] - drawn["b"]) <= 1
    lengths = sorted(int(item.split("-")[1]) for name, item in found.items if name == "a")
    # Spread over the whole range: no gap of twice the mean distance.
    gaps = [b - a for a, b in zip([0, *lengths], [*lengths, 399], strict=True)]
    assert max(gaps) <= 2 * 400 / drawn["a"] + 2


def test_the_candidates_shape_is_taken_where_its_engine_is_the_same() -> None:
    found = plan_controls(
        manifest(
            wide={"engine_args": {"batch_size": 64}},
            wider={"engine_args": {"batch_size": 64, "device": "cpu"}},
            other={"engine": "reference", "engine_args": {"batch_size": 3}},
        ),
        [battery("a", 10)],
    )
    assert found[0].engine_args == {"batch_size": 64}
    assert found[1] is found[0]
    assert found[2].engine_args == {"batch_size": 16}
    assert (found[0].name, found[2].name) == ("wide", "other")


def test_sampled_answers_and_other_audits_have_none() -> None:
    assert plan_controls(manifest(1.0, spec={}), [battery("a", 10)]) == {}
    matched = manifest(spec={})
    contrasts = tuple(c.model_copy(update={"audit": True}) for c in matched.contrasts)
    assert plan_controls(matched.model_copy(update={"contrasts": contrasts}), [battery("a", 10)]) == {}
