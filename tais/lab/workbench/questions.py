"""What the workbench decodes: laws, shapes and prompts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tais.lab.workbench.bench import Point

__all__ = []

_BATTERIES = ("demo_refuse", "demo_answer", "demo_choice", "demo_json")


def _chosen(shape: str, verifier: list[str] | None) -> list[str]:
    from tais.lab.verification import find_verifier, parse_shape
    from tais.lab.workbench.bench import names

    parsed = parse_shape(shape)
    if verifier is None:
        return names(parsed)
    return [name for name in verifier if find_verifier(name).supports(parsed)]


def _synthetic(
    shapes: list[str],
    verifier: list[str] | None,
    divergences: list[float],
    laws: dict[str, Any],
) -> list[Point]:
    from tais.cli.console import say
    from tais.lab.verification import parse_shape
    from tais.lab.workbench.bench import SyntheticQuestion, synthetic_bench

    points = []
    for shape in shapes:
        chosen = _chosen(shape, verifier)
        for divergence in divergences:
            say(f"made-up laws, {shape}, divergence {divergence:g}")
            question = SyntheticQuestion(parse_shape(shape), divergence, **laws)
            points += synthetic_bench(question, chosen)
    return points


def _pairs(
    shapes: list[str],
    verifier: list[str] | None,
    target: str | None,
    drafts: list[str] | None,
    question: dict[str, Any],
    selector: Path | None,
) -> list[Point]:
    from tais.cli.console import say
    from tais.common.shipped import share
    from tais.lab.verification import VERIFIERS, parse_shape
    from tais.lab.workbench.bench import PairQuestion, configuration, pair_bench

    demo = share("models") / "demo"
    settings: list[tuple[str, dict[str, Any]]] = [("", {})]
    for shape in shapes:
        for name in _chosen(shape, verifier):
            how = (name, configuration(parse_shape(shape), single=VERIFIERS[name].single))
            if how not in settings:
                settings.append(how)
    if selector is not None:
        settings += _chosen_by(selector, verifier)
    points: list[Point] = []
    for draft in drafts or [str(demo / "draft"), str(demo / "adversarial")]:
        asked = PairQuestion(target or str(demo / "target"), draft, **question)
        points += pair_bench(asked, settings, say)
    return points


def _chosen_by(selector: Path, verifier: list[str] | None) -> list[tuple[str, dict[str, Any]]]:
    """Return the settings of a selector: any method that it knows, and each one alone."""
    from tais.lab.verification.selector.choose import AUTO
    from tais.lab.verification.selector.store import Selector

    known = Selector.load(selector).grid.methods
    methods = [AUTO, *(name for name in known if verifier is None or name in verifier)]
    return [(name, {"selector": str(selector)}) for name in methods]


def _requests(prompts: Path | None, battery: list[str] | None, items: int, skip: int) -> list[Any]:
    from tais.errors import UsageError
    from tais.lab.prompt_file import read_prompts
    from tais.lab.workbench.pair import battery_requests, file_requests

    if prompts is None:
        return list(battery_requests(battery or _BATTERIES, items, skip))
    if battery is not None:
        raise UsageError("--prompts and --battery do not go together", remedy="Give one of the two")
    return list(file_requests([text for text, _ in read_prompts(prompts)], prompts.name))


def _demo(target: str | None, draft: str | None) -> tuple[str, str]:
    from tais.common.shipped import share

    demo = share("models") / "demo"
    return target or str(demo / "target"), draft or str(demo / "draft")
