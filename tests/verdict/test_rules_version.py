"""Whoever changes a rule that decides raises the version of the rules."""

from __future__ import annotations

import json

from tais.manifest.rules_version import RULES_VERSION
from tests.verdict.decided import decisions, stored


def test_these_rules_decide_what_their_version_is_stored_to_decide() -> None:
    """A change here is a changed rule: raise RULES_VERSION, then ``python -m tests.verdict.decided``."""
    known, now = stored(), json.loads(json.dumps(decisions()))
    assert max(map(int, known)) == RULES_VERSION
    then = known[str(RULES_VERSION)]
    assert {name: found for name, found in now.items() if found != then.get(name)} == {}
    assert now.keys() == then.keys()


def test_the_stored_decisions_hold_every_verdict_and_most_codes_that_decide() -> None:
    """A table on which everything passes would see few changes."""
    from tais.verdict.codes import CODES

    text = json.dumps(stored()[str(RULES_VERSION)])
    assert all(f'"{verdict}"' in text for verdict in ("pass", "fail", "inconclusive"))
    deciding = {name for name, code in CODES.items() if code.says in ("blocks", "fails")}
    assert len([name for name in deciding if name in text]) >= 22
