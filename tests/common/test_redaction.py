"""A secret is in nothing that is shown or stored, however a foreign party writes it."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tais.common.redaction import Redactor

KEY = "sk-pr/oj+Q7_x'9 %\\secret=42"
FORMS = {
    "plain": KEY,
    "upper": KEY.upper(),
    "repr": repr(KEY),
    "json": json.dumps(KEY),
    "url": quote(KEY, safe=""),
    "url_lower": quote(KEY, safe="").lower(),
    "base64": base64.b64encode(KEY.encode()).decode(),
    "basic": base64.b64encode(f"user:{KEY}".encode()).decode(),
    "bearer_basic": base64.urlsafe_b64encode(f"Bearer {KEY}\n".encode()).decode(),
    "hex": KEY.encode().hex(),
    "reversed": KEY[::-1],
    "tail": "..." + KEY[-8:],
    "head": KEY[:12] + "********",
}


@pytest.mark.parametrize("form", FORMS)
def test_no_form_of_a_key_is_shown(form: str) -> None:
    said = Redactor(KEY).message(f"wrong key ({FORMS[form]}), try another")
    assert said.startswith("wrong key (")
    assert said.endswith("), try another")
    assert "***" in said
    # Twelve characters of base64 reach into the key, whatever stands before it.
    pieces = [FORMS[form][i : i + 12] for i in range(len(FORMS[form]) - 12)]
    assert not [piece for piece in pieces if piece in said and "****" not in piece]


@given(st.text(max_size=30), st.text(max_size=30))
def test_a_key_is_found_inside_any_text(before: str, after: str) -> None:
    assert KEY not in Redactor(KEY)(before + KEY + after)


def test_answers_lose_whole_keys_alone() -> None:
    value = {"text": [f"Your key is {KEY}.", "sk-pr/oj is how keys begin"], KEY: 1, "n": 2.5}
    assert Redactor(KEY).tree(value) == {
        "text": ["Your key is ***.", "sk-pr/oj is how keys begin"],
        "***": 1,
        "n": 2.5,
    }
    # What a local server takes for a key is a word.
    assert Redactor("ollama").tree({"owned_by": "ollama"}) == {"owned_by": "ollama"}
    assert Redactor("ollama").message("not ollama") == "not ***"
    assert Redactor(None).message("as it was") == "as it was"
