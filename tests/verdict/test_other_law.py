"""What fits tokens that drift is said in words that fit, with a code of its own."""

from __future__ import annotations

import pytest

from tais.stats.conformance.alternatives import COLDEST, HOTTEST, LawFit
from tais.verdict.other_law import explain_drift, other_law
from tests.verdict.test_leak_bound import alone

OTHER = "law_of_other_temperature"


@pytest.mark.parametrize(
    ("why", "code", "said"),
    [
        (LawFit("temperature", 1.0, 1.625, 0.1, 0.4, 9), OTHER, "temperature 1.3, where"),
        (LawFit("temperature", 1.0, COLDEST, 0.1, 0.4, 9), OTHER, "best token"),
        (LawFit("temperature", 0.5, HOTTEST, 0.1, 0.4, 9), OTHER, "listed alike"),
        (LawFit("draft", 0.49, None, 0.1, 0.4, 9), "law_of_draft", "49% of those that the target lists"),
        (LawFit("uncut", 1.0, None, 0.1, 0.4, 9), "law_without_cuts", "before top-k and top-p"),
        (LawFit("place_before", 1.0, None, 0.1, 0.4, 9), "law_of_token_before", "the token before"),
        (LawFit("temperature", 1.0, 1.625, 0.1, 1e-9, 9), "law_unexplained", "nothing tried fits; nearest"),
        (None, "law_unexplained", "nothing tried is more likely"),
    ],
)  # fmt: skip
def test_each_law_has_its_code_and_its_words(why: LawFit | None, code: str, said: str) -> None:
    law = alone(400, 10, temperature=0.8, why=why).conformance
    assert law is not None
    found = explain_drift(law)
    assert (found.code, found.severity) == (code, "note")
    assert said in found.message
    written = other_law(why)
    assert (written is None) == (why is None)
    if written is not None:
        assert written.fits is (code != "law_unexplained")
