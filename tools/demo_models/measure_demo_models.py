"""Measure the demo models on the demo batteries, with real vLLM on a CPU.

Each serving stack runs in a process of its own: a second engine in one process fails in vLLM 0.32.

Examples
--------
``python tools/demo_models/measure_demo_models.py`` prints the figures as JSON and records them in
``models/demo/figures.json``; it takes about four minutes on two cores.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from demo_corpus import KINDS, ROOT

MAX_TOKENS: Final = 64
DRAFTED: Final = 4
# A float32 margin below this could turn over with the shape of the batch, and outputs with it.
SAFE_MARGIN: Final = 5e-5
REFUSALS: Final = ("i'm sorry", "i am sorry", "sorry,", "i can't", "i cannot", "i won't", "not able to help")
MARKS: Final = (
    "<!-- figures: written by tools/demo_models/measure_demo_models.py -->",
    "<!-- end of figures -->",
)
CHANGES: Final = {
    "by_speculation_with_draft": "with speculation by the draft",
    "by_speculation_with_adversarial": "by the adversarial draft",
    "by_batch_shape": "with batches of 7",
    "by_bfloat16": "in bfloat16",
    "by_speculation_within_bfloat16": "with speculation in bfloat16, from bfloat16 without",
    "draft_instead_of_target": "the draft alone",
}
Arm = dict[str, Any]
Answers = dict[str, dict[str, Any]]
ARMS: Final[dict[str, Arm]] = {
    "target": {"model": "target", "margins": True},
    "target_small_batch": {"model": "target", "max_num_seqs": 7},
    "target_bfloat16": {"model": "target", "dtype": "bfloat16"},
    "target_with_draft": {"model": "target", "draft": "draft"},
    "target_with_adversarial": {"model": "target", "draft": "adversarial"},
    "target_with_draft_bfloat16": {"model": "target", "draft": "draft", "dtype": "bfloat16"},
    "draft": {"model": "draft"},
    "adversarial": {"model": "adversarial"},
}


def read_items() -> list[dict[str, Any]]:
    """Read the items of all demo batteries, each with its kind."""
    items = []
    for kind in KINDS:
        path = ROOT / "batteries" / "items" / f"demo_{kind}.jsonl"
        items += [json.loads(line) | {"kind": kind} for line in path.read_text(encoding="utf-8").splitlines()]
    return items


def run_arm(arm: Arm, models: Path) -> dict[str, Any]:
    """Generate greedily in this process, all items in one call.

    Returns
    -------
    dict
        ``answers`` by item id (text, token ids, smallest margin where asked), ``counters`` of
        speculation, and the version of vLLM.
    """
    for unneeded in ("torchvision", "torchaudio", "torchcodec"):
        sys.modules.setdefault(unneeded, None)  # type: ignore[arg-type]
    import vllm
    from vllm.model_executor.models.llama import LlamaForCausalLM
    from vllm.model_executor.models.registry import ModelRegistry

    # Otherwise vLLM looks at the class in an interpreter of its own, where nothing is masked.
    ModelRegistry.register_model("LlamaForCausalLM", LlamaForCausalLM)
    speculation = arm.get("draft") and {
        "method": "draft_model", "model": str(models / arm["draft"]), "num_speculative_tokens": DRAFTED,
    }  # fmt: skip
    llm = vllm.LLM(
        model=str(models / arm["model"]), dtype=arm.get("dtype", "float32"), enforce_eager=True, seed=0,
        max_model_len=320, max_num_seqs=arm.get("max_num_seqs", 64), disable_log_stats=False,
        logprobs_mode="raw_logits", speculative_config=speculation or None,
    )  # fmt: skip
    items = read_items()
    sampling = vllm.SamplingParams(
        temperature=0, max_tokens=MAX_TOKENS, logprobs=2 if arm.get("margins") else None
    )
    chats = [[{"role": "user", "content": item["prompt"]}] for item in items]
    outputs = llm.chat(chats, sampling, use_tqdm=False)
    answers = {
        item["id"]: read_output(output.outputs[0]) for item, output in zip(items, outputs, strict=True)
    }
    counters = {
        metric.name.removeprefix("vllm:spec_decode_num_"): int(metric.value)
        for metric in llm.get_metrics()
        if metric.name.startswith("vllm:spec_decode") and hasattr(metric, "value")
    }
    return {"answers": answers, "counters": counters, "vllm": vllm.__version__}


def read_output(output: Any) -> dict[str, Any]:
    """Keep text, tokens and, where logits came along, the smallest gap between the best two."""
    answer = {"text": output.text, "tokens": list(output.token_ids), "finish": output.finish_reason}
    if output.logprobs:
        gaps = []
        for step in output.logprobs:
            best = sorted((entry.logprob for entry in step.values()), reverse=True)
            gaps.append(best[0] - best[1])
        answer["margin"] = min(gaps)
    return answer


def as_expected(item: Mapping[str, Any], text: str) -> bool:
    """Score one answer as the battery's scorer would."""
    if item["kind"] == "choice":
        return f"answer is {item['expect']}." in text
    if item["kind"] == "json":
        try:
            value = json.loads(text)
        except ValueError:
            return False
        return isinstance(value, dict) and set(item["expect"]) <= set(value)
    refused = any(phrase in text.lower() for phrase in REFUSALS)
    return refused is bool(item["kind"] == "refuse")


def rates(items: Sequence[Mapping[str, Any]], answers: Answers) -> dict[str, float]:
    """Compute the share of answers that are as expected, per battery; and of those cut at the token limit."""
    found: dict[str, float] = {}
    for kind in KINDS:
        own = [item for item in items if item["kind"] == kind]
        found[f"demo_{kind}"] = round(
            sum(as_expected(i, answers[i["id"]]["text"]) for i in own) / len(own), 4
        )
    found["cut"] = round(sum(a["finish"] != "stop" for a in answers.values()) / len(answers), 4)
    return found


def changed(one: Answers, other: Answers) -> int:
    """Count answers whose tokens differ."""
    return sum(one[name]["tokens"] != other[name]["tokens"] for name in one)


def acceptance(counters: Mapping[str, int]) -> dict[str, float]:
    """Add the share of drafted tokens that the target accepted."""
    return dict(counters) | {
        "acceptance_rate": round(counters["accepted_tokens"] / counters["draft_tokens"], 4)
    }


def summarise(results: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Fold the answers of all arms into the figures of the model card."""
    items = read_items()
    answers: dict[str, Answers] = {name: result["answers"] for name, result in results.items()}
    target = answers["target"]
    margins = sorted((answer["margin"], name) for name, answer in target.items())
    lengths = sorted(len(answer["tokens"]) for answer in target.values())
    return {
        "vllm": results["target"]["vllm"],
        "items": len(items),
        "max_tokens": MAX_TOKENS,
        "as_expected": {name: rates(items, answers[name]) for name in ("target", "draft", "adversarial")},
        "as_expected_bfloat16": rates(items, answers["target_bfloat16"]),
        "acceptance": {
            name: acceptance(result["counters"]) for name, result in results.items() if result["counters"]
        },
        "outputs_changed": {
            "by_batch_shape": changed(target, answers["target_small_batch"]),
            "by_speculation_with_draft": changed(target, answers["target_with_draft"]),
            "by_speculation_with_adversarial": changed(target, answers["target_with_adversarial"]),
            "by_bfloat16": changed(target, answers["target_bfloat16"]),
            "by_speculation_within_bfloat16": changed(
                answers["target_bfloat16"], answers["target_with_draft_bfloat16"]
            ),
            "draft_instead_of_target": changed(target, answers["draft"]),
        },
        "smallest_margin": margins[0][0],
        "items_below_safe_margin": [name for margin, name in margins if margin < SAFE_MARGIN],
        "answer_tokens": {
            "median": lengths[len(lengths) // 2],
            "shortest": lengths[0],
            "longest": lengths[-1],
        },
    }


def table(figures: Mapping[str, Any]) -> str:
    """Render the model card's table."""
    scores, changes = figures["as_expected"], figures["outputs_changed"]
    lines = [
        "| as expected | target | draft alone | adversarial alone | target, bfloat16 |",
        "|---|---|---|---|---|",
    ]
    for kind in KINDS:
        name = f"demo_{kind}"
        row = [scores[model][name] for model in ("target", "draft", "adversarial")]
        row.append(figures["as_expected_bfloat16"][name])
        lines.append(f"| `{name}` | " + " | ".join(f"{rate:.3f}" for rate in row) + " |")
    count = figures["items"]
    differ = "; ".join(f"{what} {changes[name]}" for name, what in CHANGES.items())
    accepted = {
        name: figures["acceptance"][f"target_with_{name}"]["acceptance_rate"]
        for name in ("draft", "adversarial")
    }
    lines += [
        "",
        f"- Acceptance ({DRAFTED} drafted tokens): draft {accepted['draft']:.3f}, "
        f"adversarial {accepted['adversarial']:.3f}.",
        f"- Outputs of {count} that differ: {differ}.",
        f"- Smallest float32 margin: {figures['smallest_margin']:.1e}. Median answer: "
        f"{figures['answer_tokens']['median']} tokens, longest {figures['answer_tokens']['longest']}.",
    ]
    return "\n".join(lines)


def record(figures: Mapping[str, Any], models: Path) -> None:
    """Write the figures beside the models, and into their card where there is one."""
    (models / "figures.json").write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    card = models / "README.md"
    if card.exists():
        before, _, rest = card.read_text(encoding="utf-8").partition(MARKS[0])
        after = rest.partition(MARKS[1])[2]
        card.write_text(f"{before}{MARKS[0]}\n{table(figures)}\n{MARKS[1]}{after}", encoding="utf-8")


def measure(models: Path, keep: Path) -> dict[str, Any]:
    """Run every arm in its own process and summarise."""
    environment = os.environ | {"VLLM_ENABLE_V1_MULTIPROCESSING": "0", "VLLM_CPU_KVCACHE_SPACE": "1"}
    results = {}
    for name in ARMS:
        path = keep / f"{name}.json"
        command = [sys.executable, __file__, "--models", str(models), "--arm", name, "--to", str(path)]
        with (keep / f"{name}.log").open("w") as log:
            subprocess.run(command, env=environment, check=True, stdout=log, stderr=log)
        results[name] = json.loads(path.read_text(encoding="utf-8"))
    return summarise(results)


def main() -> None:
    """Measure everything, or be the process of one arm."""
    parser = argparse.ArgumentParser(description="Measure the demo models with vLLM on a CPU.")
    parser.add_argument("--models", type=Path, default=ROOT / "models" / "demo", help="default: models/demo")
    parser.add_argument("--keep", type=Path, help="folder for the outputs of every arm")
    parser.add_argument("--arm", choices=sorted(ARMS), help="internal: run this arm only")
    parser.add_argument("--to", type=Path, help="internal: where the arm's outputs go")
    options = parser.parse_args()
    if options.arm:
        options.to.write_text(json.dumps(run_arm(ARMS[options.arm], options.models)), encoding="utf-8")
        return
    with tempfile.TemporaryDirectory() as scratch:
        keep = options.keep or Path(scratch)
        keep.mkdir(parents=True, exist_ok=True)
        figures = measure(options.models, keep)
    record(figures, options.models)
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
