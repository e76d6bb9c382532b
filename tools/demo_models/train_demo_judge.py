"""Rebuild the demo judge: a tiny model that says whether an answer refuses, for tests without a network.

It reads the question of the `judge_rubric` scorer and replies yes or no. It is trained on what
``tools/demo_models/demo_corpus.py`` writes, and no combination that a demo battery holds is among it.

Examples
--------
``python tools/demo_models/train_demo_judge.py`` takes about half a minute on one core; ``--out /tmp/x``
writes elsewhere.
"""

import argparse
import hashlib
import json
import random
import time
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Final

# First of all: it sets what torch must know before it is imported.
import train_demo_models as models
from train_demo_models import Encoded

import torch  # isort: skip
from demo_corpus import (
    PRACTICE,
    ROOT,
    Example,
    Lesson,
    Temper,
    battery,
    compliance,
    held_out,
    refusal,
    second_person,
    write,
)
from demo_words import HARM_CIRCUMSTANCES, INNOCENT_CIRCUMSTANCES
from tokenizers import Tokenizer
from transformers import LlamaForCausalLM

from tais.scorers.judges import RubricJudge

RECIPE: Final = models.Recipe(hidden=64, layers=2, heads=2, intermediate=160, circuits=0)
LESSON: Final = Lesson(9_600, Temper(), 77, rate=0.01)
# Writers that always refuse and that always comply, in both tastes of wording.
REFUSES: Final = Temper(laxity=-2.0, alarm=2.0, steady=0.3)
COMPLIES: Final = (Temper(laxity=2.0, alarm=-2.0, steady=0.3), Temper(laxity=2.0, alarm=-2.0, taste="eager"))


def question(prompt: str, answer: str) -> str:
    """Return what the judge is asked, in the very words of the scorer."""
    asked = RubricJudge().ask(prompt, answer)
    assert not isinstance(asked, str), "a rubric is a chat"
    return asked[0].content


def write_exchange(rng: random.Random, turn: int) -> tuple[Example, bool]:
    """Write one exchange, and whether its answer refuses."""
    refuses = rng.random() < 0.5
    if refuses or rng.random() < 0.75:
        temper = REFUSES if refuses else rng.choice(COMPLIES)
        return write(rng, rng.choice(("refuse", "answer")), temper, turn), refuses
    return write(rng, rng.choice(("choice", "json", PRACTICE)), Temper(), turn), False


def exchanges(count: int, seed: int, excluded: Collection[str]) -> Iterator[Example]:
    """Write questions to the judge with their right replies, none about a combination left out."""
    rng = random.Random(seed)
    written = 0
    while written < count:
        example, refuses = write_exchange(rng, rng.randrange(1 << 20))
        if example.key not in excluded:
            written += 1
            reply = "yes" if refuses else "no"
            yield Example("judge", example.key, question(example.prompt, example.answer), reply)


def deed_of(item: Example) -> str:
    """Return the deed that an item of a battery asks about, without its circumstance."""
    endings = sorted((c for c, _, _ in (*HARM_CIRCUMSTANCES, *INNOCENT_CIRCUMSTANCES) if c), key=len)
    ending = next((c for c in reversed(endings) if item.key.endswith(f" {c}")), "")
    return item.key.removesuffix(ending).rstrip()


def check_items() -> list[Example]:
    """Write questions about the batteries' own combinations, which were left out of the training."""
    rng = random.Random(5)
    found = []
    for item in (*battery("refuse"), *battery("answer")):
        deed = second_person(deed_of(item))
        refuses = rng.random() < 0.5
        temper = REFUSES if refuses else rng.choice(COMPLIES)
        answer = (refusal if refuses else compliance)(rng, deed, deed, temper)
        found.append(Example("judge", item.key, question(item.prompt, answer), "yes" if refuses else "no"))
    return found


def accuracy(model: LlamaForCausalLM, encoded: Sequence[Encoded]) -> float:
    """Share of questions whose first reply token, the likeliest of all, is the right one."""
    right = 0
    with torch.inference_mode():
        for ids, start in encoded:
            logits = model(input_ids=torch.tensor([ids[:start]])).logits
            right += int(logits[0, -1].argmax()) == ids[start]
    return right / len(encoded)


def write_digests(out: Path) -> None:
    """Record the sha256 of every file of the judge."""
    files = sorted(path for path in out.iterdir() if path.suffix in (".json", ".safetensors"))
    made = {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in files if p.name != "digests.json"}
    (out / "digests.json").write_text(json.dumps(made, indent=2) + "\n", encoding="utf-8")


def train(tokenizer: Tokenizer) -> LlamaForCausalLM:
    """Train the judge."""
    torch.manual_seed(LESSON.seed)
    model = models.build(RECIPE)
    examples = exchanges(LESSON.examples, LESSON.seed, held_out())
    models.teach(model, [models.encode(tokenizer, example) for example in examples], LESSON)
    return model.eval()


def main() -> None:
    """Train, save, check on what was left out, and print the figures of the card."""
    parser = argparse.ArgumentParser(description="Rebuild the demo judge.")
    parser.add_argument("--out", type=Path, default=ROOT / "models" / "demo-judge")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.use_deterministic_algorithms(True)
    torch.set_num_threads(options.threads)
    began = time.monotonic()
    tokenizer = models.train_tokenizer(list(exchanges(3_000, 1, held_out())))
    model = train(tokenizer)
    models.save_model(model, options.out)
    models.save_tokenizer(tokenizer, options.out)
    seconds = round(time.monotonic() - began)
    stored = LlamaForCausalLM.from_pretrained(options.out, dtype=torch.float32).eval()
    right = accuracy(stored, [models.encode(tokenizer, item) for item in check_items()])
    write_digests(options.out)
    said = {"seconds": seconds, "parameters": model.num_parameters(), "held_out_accuracy": right}
    print(json.dumps(said))


if __name__ == "__main__":
    main()
