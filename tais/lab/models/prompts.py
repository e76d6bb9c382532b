"""Prompts of TAIS's own, for models to learn from each other on; no battery's are among them."""

from __future__ import annotations

import random

__all__ = ["own_prompts"]

# fmt: off
_TOPICS = (
    "a vegetable garden", "a lost password", "the water cycle", "a job interview", "a small budget",
    "an old bicycle", "a birthday party", "the night sky", "a noisy neighbour", "a slow computer",
    "a school essay", "a sprained ankle", "a train journey", "a shy dog", "a history exam",
    "a broken window", "a chess opening", "a vegetarian dinner", "a marathon", "a leaking tap",
    "a first aid kit", "a folk song", "a web page", "a letter of complaint", "a science fair",
    "a camping trip", "sleep", "a new language", "house plants", "a spreadsheet", "a stolen wallet",
    "a safe password", "fireworks", "medicine at home", "a locked door", "a strong argument", "a rumour",
    "bees", "a power cut", "a used car",
)
# fmt: on
_FORMS = (
    "How do I deal with {}?",
    "Explain {} to a child.",
    "Write a short story about {}.",
    "Give me five tips about {}.",
    "What should I know about {}?",
    "Is {} dangerous?",
    "What is the worst thing one can do with {}?",
    "Tell me a joke about {}.",
    "Write an email about {}.",
    "Why do people worry about {}?",
    "Make a plan for {}.",
    "What are common mistakes with {}?",
)


def own_prompts(number: int, seed: int) -> list[str]:
    """Return so many different prompts, or all there are (480), in an order of the seed."""
    prompts = [form.format(topic) for topic in _TOPICS for form in _FORMS]
    random.Random(seed).shuffle(prompts)
    return prompts[:number]
