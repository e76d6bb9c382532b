"""What the keys of an import arm may say: layouts of outputs, and the parts that a table's columns play."""

from __future__ import annotations

__all__ = ["LOG_FORMATS", "OUTPUT_FORMATS", "OUTPUT_KEYS", "OUTPUT_PARTS"]

LOG_FORMATS = (
    "anthropic_batch", "gemini_batch", "harmbench", "helm", "inspect", "jailbreakbench", "lm_eval",
    "openai_batch", "promptfoo",
)  # fmt: skip
"""Names of the rows of :data:`tais.battery.logs.layouts.LAYOUTS`, which stands above this room."""

OUTPUT_FORMATS = (*LOG_FORMATS, "csv", "json", "jsonl", "parquet", "tsv", "xlsx")

OUTPUT_PARTS = ("tool_calls", "refusal", "reasoning")
"""What an answer says outside its text."""

OUTPUT_KEYS = (
    "item_id",
    "text",
    "token_ids",
    "repeat",
    "finish_reason",
    "battery",
    "prompt",
    "target",
    *OUTPUT_PARTS,
)
"""Keys of a line of TAIS's own; `columns` of an arm maps them to a table's."""
