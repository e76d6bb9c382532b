"""What a draft sees at work: prompts, each with the draft's own greedy answer."""

from __future__ import annotations

from pathlib import Path

from tais.battery.rows import read_rows
from tais.common.document import show
from tais.engines.prompts import render
from tais.errors import UsageError
from tais.lab.packages import torch, transformers
from tais.records import Message

__all__ = ["passages", "read_prompts"]


def read_prompts(path: Path, limit: int | None = None) -> list[str]:
    """Read the column ``prompt`` of a file of any format that a battery may have.

    Raises
    ------
    ManifestError
        Where the file cannot be read.
    UsageError
        Where a row has no such text.
    """
    rows = read_rows(path)
    found = []
    for index, row in enumerate(rows.values[:limit]):
        prompt = row.get("prompt") if isinstance(row, dict) else None
        if not isinstance(prompt, str) or not prompt.strip():
            remedy = "Calibration needs the column prompt, a text in each row"
            raise UsageError(f"prompt is {show(prompt)}", place=rows.place(index), remedy=remedy)
        found.append(prompt)
    return found


def passages(
    model: transformers.PreTrainedModel,
    tokenizer: transformers.PreTrainedTokenizerBase,
    prompts: list[str],
    answer: int,
    most: int,
) -> list[torch.Tensor]:
    """Return token ids (1, length) of each prompt in the chat template, with the model's own answer.

    Parameters
    ----------
    model, tokenizer
        Of transformers.
    prompts
        From :func:`read_prompts`.
    answer
        Tokens of an answer at most.
    most
        Tokens of a passage at most; its end is cut.
    """
    found = []
    for prompt in prompts:
        ids = torch.tensor([render(tokenizer, None, [Message("user", prompt)], True)], device=model.device)
        with torch.inference_mode():
            made = model.generate(
                input_ids=ids,
                attention_mask=torch.ones_like(ids),
                max_new_tokens=answer,
                do_sample=False,
                temperature=None,
                top_p=None,
                top_k=None,
                pad_token_id=tokenizer.eos_token_id,
            )
        found.append(made[:, :most].clone())
    return found
