"""Prompts that leave no room for an answer in the context of a stack that only scores: known beforehand.

They are planned out of an audit by their own length, whatever was answered; a plan names them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tais.engines import create_teacher
from tais.engines.base import EngineRefusal
from tais.engines.prompts import Renderer
from tais.engines.tokenizer import read_tokenizer
from tais.manifest.model import Arm
from tais.manifest.sampling import with_own
from tais.plan.items import requests_of
from tais.plan.model_config import figures

if TYPE_CHECKING:
    from tais.plan.plan import Plan
    from tais.records import Request

__all__ = ["NoRoom", "prompts_without_room"]

# These end one token before the context does, see their `room`.
_ONE_LESS = ("vllm", "openai")
_CONTEXTS = ("max_position_embeddings", "n_positions")


@dataclass(frozen=True, slots=True)
class NoRoom:
    """What a reference that answers nothing has no room for."""

    reference: str
    battery: str
    items: tuple[str, ...]
    """Ids of the items, in the order in which they are asked."""
    unknown: str = ""
    """Why nothing can be said; then no battery is named."""


def prompts_without_room(plan: Plan) -> Iterator[NoRoom]:
    """Yield the items that audits without a target arm will leave out, by reference and battery."""
    manifest = plan.manifest
    alone = (c.reference for c in manifest.contrasts if manifest.audit_of(c) == "only")
    for reference in dict.fromkeys(alone):
        arm = manifest.arms[reference]
        try:
            room = _room(arm)
        except EngineRefusal as error:
            yield NoRoom(reference, "", (), str(error))
            continue
        for battery in plan.batteries:
            requests = requests_of(battery, manifest.sampling, arm.system_prompt)
            short = [
                r.key.item_id for r in requests if room(r) < with_own(manifest.sampling, r.own).max_tokens
            ]
            if short:
                yield NoRoom(reference, battery.name, tuple(short))


def _room(arm: Arm) -> Callable[[Request], int]:
    """Return what the context leaves behind a prompt.

    Raises
    ------
    EngineRefusal
        Where the model does not lie here, or its tokenizer cannot be read.
    """
    if arm.engine == "fake":
        teacher = create_teacher(arm.engine)
        teacher.start_forcing(arm, 0.0, 1)
        return lambda request: int(teacher.room(request) or 0)
    context = _context(arm)
    if context is None:
        raise EngineRefusal("the context of its model is not known here")
    render, own = Renderer(read_tokenizer(arm), arm), arm.engine in _ONE_LESS
    return lambda request: context - own - len(render(request))


def _context(arm: Arm) -> int | None:
    """Return the length of the context: as the arm says, but no longer than its model's; None if unknown."""
    said = arm.engine_args.get("max_model_len")
    known = figures(arm, _CONTEXTS)
    if known is None:
        return None
    return min([*known, *([said] if isinstance(said, int) else [])], default=None)
