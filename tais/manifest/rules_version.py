"""The version of the verdict rules. A lock names it: changed rules are not taken for a changed run."""

from __future__ import annotations

__all__ = ["FIRST_RULES", "RULES_VERSION"]

FIRST_RULES = 1
"""Of a lock that names no version: it was written before rules had one."""

RULES_VERSION = 2
"""Raised by every change of a rule that decides: the same evidence may then get another verdict, another
reason or another number. What only adds a note or a page changes no rule.

2: endpoints are split by expectation and must be shown able to fail; a fail needs Tarone-Holm; a treatment
needs accepted tokens; invalid answers are bounded; a comparison takes its claim from both stacks; sampled
answers that stand alone pass only within `max_leak`; a control counts without its invalid answers; the
numerical band is that of uneven noise, and float32 clears what it holds within it; an audit without a target
arm has a control of its own; all misses of a complete audit together may fail (`law_drift`); impossible
tokens are held against what honest stacks of the dtype make; a small float32 control whose noise varies makes
fewer misses sure; tests of tokens are adjusted by Tarone-Holm.
"""
