"""Whoever changes a rule that decides raises the version of the rules."""

from __future__ import annotations

import json
import math

from tais.manifest.rules_version import RULES_VERSION
from tests.verdict.decided import decisions, stored


def same(found: object, known: object) -> bool:
    """Return whether two decisions are one: figures up to what processors round differently."""
    if isinstance(found, list) and isinstance(known, list):
        return len(found) == len(known) and all(map(same, found, known))
    if isinstance(found, dict) and isinstance(known, dict):
        return found.keys() == known.keys() and all(same(value, known[key]) for key, value in found.items())
    if isinstance(found, float) and isinstance(known, float):
        return math.isclose(found, known, rel_tol=1e-4, abs_tol=1e-9)
    return found == known


def test_these_rules_decide_what_their_version_is_stored_to_decide() -> None:
    """A change here is a changed rule: raise RULES_VERSION, then ``python -m tests.verdict.decided``."""
    known, now = stored(), json.loads(json.dumps(decisions()))
    assert max(map(int, known)) == RULES_VERSION
    then = known[str(RULES_VERSION)]
    assert now.keys() == then.keys()
    assert [name for name, found in now.items() if not same(found, then[name])] == []


def test_the_stored_decisions_hold_every_verdict_and_most_codes_that_decide() -> None:
    """A table on which everything passes would see few changes."""
    from tais.verdict.codes import CODES

    text = json.dumps(stored()[str(RULES_VERSION)])
    assert all(f'"{verdict}"' in text for verdict in ("pass", "fail", "inconclusive"))
    deciding = {name for name, code in CODES.items() if code.says in ("blocks", "fails")}
    assert len([name for name in deciding if name in text]) >= 22
