"""Rebuild the demo tokenizer and the three demo models from the project's own corpus, on a CPU.

Examples
--------
``python tools/demo_models/train_demo_models.py`` takes about 10 minutes on two cores, then run
``python tools/demo_models/measure_demo_models.py``. ``--only draft --out /tmp/x`` trains one model elsewhere.

Notes
-----
Same seed, same machine, same versions: same weights. Another CPU may round differently in training,
so the digests are those of the committed files and not a promise about other hardware.
"""

import argparse
import hashlib
import json
import os
import random
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

# The registry's torchvision does not load beside a CPU torch, and transformers would import it.
# Waiting threads must not spin: the two cores are often shared.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
for _unneeded in ("torchvision", "torchaudio", "torchcodec"):
    sys.modules.setdefault(_unneeded, None)  # type: ignore[arg-type]

import torch  # noqa: E402
from demo_corpus import LESSONS, ROOT, Example, Lesson, Temper, corpus, held_out  # noqa: E402
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers  # noqa: E402
from torch import Tensor  # noqa: E402
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast  # noqa: E402

BOS, EOS, USER, ASSISTANT = SPECIAL = ("<|bos|>", "<|eos|>", "<|user|>", "<|assistant|>")
CHAT_TEMPLATE: Final = (
    "{{ '<|bos|>' }}{% for message in messages %}"
    "{% if message['role'] == 'assistant' %}{{ '<|assistant|>' + message['content'] + '<|eos|>' }}"
    "{% else %}{{ '<|user|>' + message['content'] }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)
# Digits stay single. An option's letter is one token, so that it directly follows its option: a model
# this small copies the token after a known one, and hardly anything further away.
PIECES: Final = r" \([A-D]\)| ?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
VOCABULARY: Final = 1536
POSITIONS: Final = 512
ROPE_THETA: Final = 10_000.0
IGNORED: Final = -100
# Few distinct shapes: oneDNN compiles and keeps a kernel for each one it meets.
GRID: Final = 16
BATCH: Final = 32
Encoded = tuple[list[int], int]  # token ids, and where the answer starts


@dataclass(frozen=True, slots=True)
class Recipe:
    """What one model is made of."""

    hidden: int
    layers: int
    heads: int
    intermediate: int
    circuits: int
    begin_with: str | None = None


SMALL: Final = Recipe(hidden=128, layers=2, heads=4, intermediate=320, circuits=1)
RECIPES: Final[dict[str, Recipe]] = {
    "target": Recipe(hidden=224, layers=5, heads=7, intermediate=576, circuits=2),
    "draft": SMALL,
    "adversarial": replace(SMALL, begin_with="draft"),
}


def train_tokenizer(examples: Sequence[Example]) -> Tokenizer:
    """Train the byte-level BPE that all three models share."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PIECES), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=list(SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator((text for e in examples for text in (e.prompt, e.answer)), trainer)
    return tokenizer


def save_tokenizer(tokenizer: Tokenizer, folder: Path) -> None:
    """Write the tokenizer and its chat template as transformers and vLLM read them."""
    wrapped = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token=BOS, eos_token=EOS, pad_token=EOS, model_max_length=POSITIONS
    )
    wrapped.save_pretrained(folder)
    # save_pretrained puts the template into a file of its own; older engines read only this one.
    (folder / "chat_template.jinja").unlink(missing_ok=True)
    path = folder / "tokenizer_config.json"
    settings = json.loads(path.read_text(encoding="utf-8"))
    settings["chat_template"] = CHAT_TEMPLATE
    path.write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")


def encode(tokenizer: Tokenizer, example: Example) -> Encoded:
    """Lay out one exchange as the chat template does."""
    prompt = tokenizer.encode(f"{BOS}{USER}{example.prompt}{ASSISTANT}").ids
    answer = tokenizer.encode(f"{example.answer}{EOS}").ids
    return prompt + answer, len(prompt)


def batches(encoded: Sequence[Encoded], size: int, rng: random.Random) -> Iterator[list[Encoded]]:
    """Group exchanges of somewhat similar length: more would make batches of one kind of task."""
    order = list(range(len(encoded)))
    rng.shuffle(order)
    pool = size * 4
    for start in range(0, len(order), pool):
        near = sorted(order[start : start + pool], key=lambda index: len(encoded[index][0]))
        groups = [near[at : at + size] for at in range(0, len(near), size)]
        rng.shuffle(groups)
        yield from ([encoded[index] for index in group] for group in groups)


def tensors(batch: Sequence[Encoded]) -> tuple[Tensor, Tensor]:
    """Pad a batch on the right.

    Returns
    -------
    tuple of Tensor
        Token ids and labels, both (batch, length). Labels are the next tokens, and `IGNORED` on
        prompts and padding; under a causal mask, padding on the right changes nothing.
    """
    width = max(len(ids) for ids, _ in batch)
    width += -width % GRID
    tokens = torch.zeros(len(batch), width, dtype=torch.long)
    labels = torch.full((len(batch), width), IGNORED)
    for row, (ids, start) in enumerate(batch):
        tokens[row, : len(ids)] = torch.tensor(ids)
        labels[row, start - 1 : len(ids) - 1] = torch.tensor(ids[start:])
    return tokens, labels


def loss_of(model: LlamaForCausalLM, tokens: Tensor, labels: Tensor) -> Tensor:
    """Compute the mean cross-entropy over answer tokens; the head runs on these positions only."""
    hidden = model.model(input_ids=tokens, use_cache=False).last_hidden_state
    at = (labels.flatten() != IGNORED).nonzero().flatten()
    spare = -len(at) % (GRID * GRID)
    logits = model.lm_head(hidden.flatten(0, 1)[torch.nn.functional.pad(at, (0, spare))])
    wanted = torch.nn.functional.pad(labels.flatten()[at], (0, spare), value=IGNORED)
    return torch.nn.functional.cross_entropy(logits.float(), wanted)


def build(recipe: Recipe) -> LlamaForCausalLM:
    """Make an untrained model."""
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=recipe.hidden,
        intermediate_size=recipe.intermediate,
        num_hidden_layers=recipe.layers,
        num_attention_heads=recipe.heads,
        num_key_value_heads=recipe.heads,
        max_position_embeddings=POSITIONS,
        bos_token_id=SPECIAL.index(BOS),
        eos_token_id=SPECIAL.index(EOS),
        rope_parameters={"rope_type": "default", "rope_theta": ROPE_THETA},
        attention_bias=True,
        tie_word_embeddings=True,
        attn_implementation="sdpa",
    )
    model = LlamaForCausalLM(config)
    with torch.no_grad():
        begin_copying(model, recipe.circuits)
    return model


def begin_copying(model: LlamaForCausalLM, circuits: int) -> None:
    """Let some heads start out as induction heads: find the last such token, copy what followed it.

    Parameters
    ----------
    model
        Untrained, with biases in its attention.
    circuits
        How many pairs of heads, one in each of the first two layers.

    Notes
    -----
    From a random start a model this small did not find which letter belongs to a word in 38,000
    examples; all else it learns by itself. The first head looks one token back: the score of a
    constant q and k under rotary embedding is a sum of cos((i - j) f - phase), at its peak where
    phase = f. It writes down that token in a space of its own, where the second head compares it
    with the token at hand, in dimensions that rotate too slowly to disturb a match.

    References
    ----------
    Olsson et al. (2022), In-context Learning and Induction Heads.
    """
    first, second = (layer.self_attn for layer in model.model.layers[:2])
    size, half = first.head_dim, first.head_dim // 2
    turns = ROPE_THETA ** (-torch.arange(half) / half)
    strength = 7.0 * (turns > 0.15)
    slow = (turns < 0.02).repeat(2)[:, None]

    def frame() -> Tensor:
        return torch.linalg.qr(torch.randn(model.config.hidden_size, size))[0].T

    for head in range(circuits):
        own = slice(head * size, (head + 1) * size)
        token, note, copied = frame() * slow, frame() * slow, frame()
        first.q_proj.bias[own] = torch.cat([strength, torch.zeros(half)])
        first.k_proj.bias[own] = torch.cat([strength * turns.cos(), strength * turns.sin()])
        first.v_proj.weight[own], first.o_proj.weight[:, own] = token, 0.07 * note.T
        second.q_proj.weight[own], second.k_proj.weight[own] = 1.2 * token, 1.2 * note
        second.v_proj.weight[own], second.o_proj.weight[:, own] = copied, 0.07 * copied.T


def optimizers(model: LlamaForCausalLM, rate: float) -> list[torch.optim.Optimizer]:
    """Muon for the matrices inside the layers, AdamW for embeddings and norms.

    Notes
    -----
    Muon needs about half the examples that AdamW alone needs here, which is what makes a rebuild
    on two cores bearable.
    """
    inner = [p for name, p in model.named_parameters() if p.ndim == 2 and "layers" in name]
    outer = [p for name, p in model.named_parameters() if p.ndim != 2 or "layers" not in name]
    return [
        torch.optim.Muon(inner, lr=rate, weight_decay=0.05, momentum=0.95, adjust_lr_fn="original"),
        torch.optim.AdamW(outer, lr=rate / 3, weight_decay=0.0, betas=(0.9, 0.98)),
    ]


def teach(model: LlamaForCausalLM, encoded: Sequence[Encoded], lesson: Lesson) -> None:
    """Train through one lesson once, with warm-up and linear decay."""
    model.train()
    steps = -(-len(encoded) // BATCH)
    makers = optimizers(model, lesson.rate)
    schedules = [
        torch.optim.lr_scheduler.LambdaLR(maker, lambda step: min((step + 1) / 60, 1 - step / (steps + 1)))
        for maker in makers
    ]
    began, mean = time.monotonic(), 0.0
    for step, batch in enumerate(batches(encoded, BATCH, random.Random(lesson.seed))):
        # bfloat16 products are three times as fast as float32 on a CPU that has them.
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = loss_of(model, *tensors(batch))
        loss.backward()
        for stage in (*makers, *schedules):
            stage.step()
        model.zero_grad(set_to_none=True)
        mean = loss.item() if step == 0 else 0.98 * mean + 0.02 * loss.item()
        if step % 100 == 0:
            print(f"  step {step}/{steps} loss {mean:.4f} {time.monotonic() - began:.0f} s", flush=True)


def train(name: str, tokenizer: Tokenizer, out: Path) -> LlamaForCausalLM:
    """Train one model on its lesson, from the model it begins with where it has one."""
    recipe, lesson = RECIPES[name], LESSONS[name]
    torch.manual_seed(lesson.seed)
    model = build(recipe)
    if recipe.begin_with:
        stored = LlamaForCausalLM.from_pretrained(out / recipe.begin_with, dtype=torch.float32)
        model.load_state_dict(stored.state_dict())
    encoded = [encode(tokenizer, example) for example in corpus(lesson, held_out())]
    print(f"{name}: {len(encoded)} examples, {sum(len(ids) for ids, _ in encoded)} tokens", flush=True)
    teach(model, encoded, lesson)
    return model.eval()


def save_model(model: LlamaForCausalLM, folder: Path) -> None:
    """Write weights and configuration in bfloat16."""
    model.generation_config.eos_token_id = SPECIAL.index(EOS)
    model.generation_config.pad_token_id = SPECIAL.index(EOS)
    model.generation_config.do_sample = False
    model.to(torch.bfloat16).save_pretrained(folder)
    (folder / "model.safetensors").chmod(0o644)


def write_digests(out: Path) -> None:
    """Record the sha256 of every file of the models."""
    files = sorted(path for name in RECIPES for path in (out / name).glob("*") if path.is_file())
    digests = {str(path.relative_to(out)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    (out / "digests.json").write_text(json.dumps(digests, indent=2) + "\n", encoding="utf-8")


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Rebuild the demo tokenizer and models.")
    parser.add_argument("--out", type=Path, default=ROOT / "models" / "demo", help="default: models/demo")
    parser.add_argument("--only", choices=sorted(RECIPES), action="append", help="train only this model")
    return parser.parse_args()


def main() -> None:
    """Train, save, and record digests and times."""
    options = parse()
    torch.use_deterministic_algorithms(True)
    torch.set_num_threads(2)
    tokenizer = train_tokenizer(list(corpus(Lesson(12_000, Temper(), 1), held_out())))
    timings: dict[str, Any] = {}
    for name in options.only or RECIPES:
        began = time.monotonic()
        model = train(name, tokenizer, options.out)
        save_model(model, options.out / name)
        save_tokenizer(tokenizer, options.out / name)
        timings[name] = {"seconds": round(time.monotonic() - began), "parameters": model.num_parameters()}
    write_digests(options.out)
    print(json.dumps(timings))


if __name__ == "__main__":
    main()
