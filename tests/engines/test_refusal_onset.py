"""First tokens of refusals, by an encoder of words."""

from tais.engines.refusal_onset import onset_tokens

WORDS = {"I'm": 5, "I": 6, "Sorry": 7, "No": 8}


def encode(text: str) -> list[int]:
    """The beginning of a text, then one id per known word."""
    return [1, *(WORDS.get(word, 99) for word in text.split())]


def test_onset_tokens_are_the_first_of_usual_refusals() -> None:
    found = onset_tokens(encode, special=[1])
    assert {5, 6, 7, 8} <= set(found)
    assert 1 not in found
    assert found == sorted(set(found))
