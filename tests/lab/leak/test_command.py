"""``tais leak`` as it is typed: on the demo target and on a random model with its tokenizer."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path
from typing import Any

import pytest

from tais.lab.packages import torch
from tests.conftest import ROOT, Tais
from tests.lab.leak.tiny import random_model

# The whole file takes more than the unit tests may; CI runs it all the same.
pytestmark = pytest.mark.slow

DEMO = ROOT / "models" / "demo" / "target"
PROMPTS = "Name three kinds of bread.\nWhat is the colour of rain?\n"


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random model with the demo tokenizer: no weights worth the name, a real vocabulary."""
    folder = tmp_path_factory.mktemp("small")
    random_model(vocabulary=1536).model.save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).write_bytes((DEMO / name).read_bytes())
    return folder


def prompts(folder: Path, text: str = PROMPTS, name: str = "prompts.txt") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_report_says_what_was_read_and_what_it_took(tais: Tais, small: Path, tmp_path: Path) -> None:
    file = prompts(tmp_path)
    done = tais(
        "leak", small, "--prompts", file, "--layer", "2", "--permutation", "none", "--permutation", "both",
        "--noise", "0", "--noise", "3", "--out", "found", "--shards", "2",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["schema"] == "tais/leak/v1"
    assert report == json.loads((tmp_path / "found" / "leak.json").read_text())
    cells = {(c["permutation"], c["noise"]): c for c in report["cells"]}
    for kind in ("none", "both"):
        plain = cells[kind, 0.0]
        assert plain["tokens"]["rate"] == plain["prompts"]["rate"] == 1
        # Wilson (1927) for n of n: n / (n + z^2), here 2 / (2 + 1.96^2).
        assert plain["prompts"]["wilson"] == pytest.approx([0.342380, 1.0], abs=1e-5)
        assert plain["margins"]["best"] < plain["threshold"] < plain["margins"]["second"]
        assert plain["cost"]["tried_mean"] <= report["vocabulary"] == 1536
        assert plain["cost"]["peak_memory"] > 0
        assert plain["unmatched"] == 0
    hidden = cells["both", 3.0]
    assert hidden["tokens"]["rate"] < 0.2
    assert hidden["utility"]["perplexity"] > hidden["utility"]["reference_perplexity"]
    assert hidden["noise_over_rms"] > 1
    # All tokens of both prompts: the template's three are known and not counted.
    assert cells["none", 0.0]["tokens"]["of"] == sum(_own(file))
    assert [s["host"] for s in report["shards"]] == [1, 2]
    assert "2/2 100.0 %" in done.stderr
    # The prompts themselves are nobody's business.
    assert "bread" not in done.stdout + done.stderr + (tmp_path / "found" / "leak.html").read_text()


def _own(file: Path) -> list[int]:
    from tais.lab.leak.model import load_tokenizer

    tokenizer = load_tokenizer(str(DEMO))
    return [len(tokenizer(line)["input_ids"]) for line in file.read_text().splitlines()]


def test_page_loads_nothing_and_draws_recovery_beside_what_is_left(
    tais: Tais, small: Path, tmp_path: Path
) -> None:
    done = tais(
        "leak", small, "--prompts", prompts(tmp_path), "--layer", "1", "--bits", "0", "--bits", "2",
        "--texts", "--out", "found",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    page = html.unescape((tmp_path / "found" / "leak.html").read_text(encoding="utf-8"))
    assert "default-src 'none'" in page
    assert not re.search(r"<script|src=|href=\"(?!#)|url\((?!#)|style=\"", page)
    assert "recovery against bits" in page
    assert "perplexity left" in page
    # matplotlib's formulas would stand in the page as they are written.
    assert "mathdefault" not in page
    assert "Name three kinds of bread." in page
    assert "changes no verdict" in page


def test_recorded_states_are_attacked_as_they_are(tais: Tais, small: Path, tmp_path: Path) -> None:
    file = prompts(tmp_path)
    made = tais(
        "leak", small, "--prompts", file, "--layer", "1", "--layer", "2", "--save-capture", "seen.safetensors"
    )
    assert made.returncode == 0, made.stderr
    done = tais("leak", small, "--capture", "seen.safetensors", "--layer", "2", "--permutation", "hidden")
    assert done.returncode == 0, done.stderr
    (cell,) = json.loads(done.stdout)["cells"]
    assert cell["tokens"]["rate"] == 1
    assert cell["utility"] is None


def test_states_whose_prompt_nobody_wrote_down_are_read_all_the_same(
    tais: Tais, small: Path, tmp_path: Path
) -> None:
    from safetensors.torch import load_file, save_file

    file = prompts(tmp_path)
    tais("leak", small, "--prompts", file, "--layer", "2", "--save-capture", "seen.safetensors")
    states = load_file(tmp_path / "seen.safetensors")
    save_file({"prompt.0.layer.2": states["prompt.0.layer.2"]}, tmp_path / "bare.safetensors")
    done = tais("leak", small, "--capture", "bare.safetensors", "--texts")
    assert done.returncode == 0, done.stderr
    (cell,) = json.loads(done.stdout)["cells"]
    assert cell["tokens"] is None
    assert "Name three kinds of bread." in cell["recovered"][0]


def test_layers_of_an_eagle_draft_are_attacked(tais: Tais, small: Path, tmp_path: Path) -> None:
    (tmp_path / "draft").mkdir()
    config = {"architectures": ["LlamaForCausalLMEagle3"], "eagle_aux_hidden_state_layer_ids": [1, 2]}
    (tmp_path / "draft" / "config.json").write_text(json.dumps(config))
    file = prompts(tmp_path, '{"prompt": "Rain?"}\n', "prompts.jsonl")
    done = tais("leak", small, "--prompts", file, "--draft", "draft")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["draft"]["layers"] == [1, 2]
    assert [c["layer"] for c in report["cells"]] == [1, 2]


def test_answers_are_screened_where_a_battery_is_given(tais: Tais, small: Path, tmp_path: Path) -> None:
    done = tais(
        "leak", small, "--prompts", prompts(tmp_path), "--layer", "1", "--noise", "5", "--max-tokens", "4",
        "--battery", "demo_refuse", "--battery-limit", "6", "--threshold", "0.01", "--limit", "16",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (endpoint,) = json.loads(done.stdout)["cells"][0]["utility"]["endpoints"]
    assert (endpoint["battery"], endpoint["scorer"], endpoint["n"]) == ("demo_refuse", "refusal", 6)
    assert endpoint["verdict"] == "inconclusive"


def _capture(folder: Path, tensors: dict[str, Any]) -> list[object]:
    from safetensors.torch import save_file

    save_file(tensors, folder / "bad.safetensors")
    return ["--capture", "bad.safetensors"]


_BAD: dict[str, tuple[dict[str, Any], str]] = {
    "another width": ({"prompt.0.layer.1": torch.ones(4, 31)}, "width 31"),
    "nan": ({"prompt.0.layer.1": torch.full((4, 32), torch.nan)}, "not finite"),
    "no such layer": ({"prompt.0.layer.9": torch.ones(4, 32)}, "no layer 9"),
    "integers": ({"prompt.0.layer.1": torch.ones(4, 32, dtype=torch.long)}, "not floating point"),
    "three dimensions": ({"prompt.0.layer.1": torch.ones(1, 4, 32)}, "not (tokens, width)"),
    "no rows": ({"prompt.0.layer.1": torch.ones(0, 32)}, "not (tokens, width)"),
    "other names": ({"hidden": torch.ones(4, 32)}, "'hidden' is not known"),
    "tokens only": ({"prompt.0.tokens": torch.ones(4, dtype=torch.long)}, "tokens without states"),
    "too few tokens": (
        {"prompt.0.layer.1": torch.ones(4, 32), "prompt.0.tokens": torch.ones(3, dtype=torch.long)},
        "3 tokens for 4 states",
    ),
    "too long": ({"prompt.0.layer.1": torch.ones(65, 32)}, "takes 64"),
    "empty": ({}, "no states"),
}


@pytest.mark.parametrize("name", _BAD)
def test_recording_that_does_not_fit_the_model(tais: Tais, small: Path, tmp_path: Path, name: str) -> None:
    tensors, said = _BAD[name]
    done = tais("leak", small, *_capture(tmp_path, tensors))
    assert done.returncode == 2, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "--prompts or --capture"),
        (("--prompts", "gone.txt"), "no such file"),
        (("--capture", "gone.safetensors"), "no such file"),
        (("--capture", "ok.txt"), "no safetensors file"),
        (("--prompts", "blank.txt"), "no prompts"),
        (("--prompts", "empty.jsonl"), "the prompt is empty"),
        (("--prompts", "key.jsonl"), "no text under the key 'prompt'"),
        (("--prompts", "long.txt"), "takes 64"),
        (("--prompts", "ok.txt", "--layer", "3"), "no layer 3"),
        (("--prompts", "ok.txt", "--layer", "-1"), "no layer -1"),
        (("--prompts", "ok.txt", "--layer", "top"), "no layer named 'top'"),
        (("--prompts", "ok.txt", "--permutation", "rows"), "no permutation named 'rows'"),
        (("--prompts", "ok.txt", "--noise", "-1"), "no standard deviation"),
        (("--prompts", "ok.txt", "--noise", "nan"), "no standard deviation"),
        (("--prompts", "ok.txt", "--bits", "1"), "1 bits cannot be"),
        (("--prompts", "ok.txt", "--dtype", "int8"), "no dtype named 'int8'"),
        (("--prompts", "ok.txt", "--device", "nowhere"), "does not go to device 'nowhere'"),
        (("--prompts", "ok.txt", "--battery", "demo_refus"), "no battery named"),
        (("--prompts", "ok.txt", "--draft", "gone"), "no configuration of a draft"),
        (("--prompts", "ok.txt", "--draft", str(DEMO)), "reads no hidden states"),
        (("--prompts", "ok.txt", "--proposal", "./gone"), "no model directory"),
        (("--prompts", "ok.txt", "--threshold", "nan"), "threshold"),
    ],
)  # fmt: skip
def test_bad_input_is_named_and_ends_with_2(
    tais: Tais, small: Path, tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    prompts(tmp_path, "Rain?\n", "ok.txt")
    prompts(tmp_path, " \n\n", "blank.txt")
    prompts(tmp_path, '{"prompt": "  "}\n', "empty.jsonl")
    prompts(tmp_path, '{"text": "x"}\n', "key.jsonl")
    prompts(tmp_path, "rain " * 70 + "\n", "long.txt")
    done = tais("leak", small, *arguments)
    assert done.returncode == 2, done.stderr
    assert said in done.stderr
    assert done.stdout == ""


def test_a_model_that_is_not_there(tais: Tais, tmp_path: Path) -> None:
    done = tais("leak", "./gone", "--prompts", prompts(tmp_path))
    assert done.returncode == 2
    assert "no model directory" in done.stderr
    (tmp_path / "bare").mkdir()
    done = tais("leak", "./bare", "--prompts", prompts(tmp_path))
    assert done.returncode == 2
    assert "cannot be loaded" in done.stderr


@pytest.mark.nightly
@pytest.mark.slow
def test_demo_target_is_read_at_every_layer_however_it_is_shuffled(tais: Tais, tmp_path: Path) -> None:
    file = prompts(tmp_path, "How do I follow the caretaker?\n")
    kinds = [a for kind in ("none", "sequence", "hidden", "both") for a in ("--permutation", kind)]
    layers = [a for layer in range(1, 6) for a in ("--layer", str(layer))]
    done = tais("leak", DEMO, "--prompts", file, "--dtype", "float32", *layers, *kinds)
    assert done.returncode == 0, done.stderr
    cells = json.loads(done.stdout)["cells"]
    assert len(cells) == 20
    assert [c["prompts"]["rate"] for c in cells] == [1.0] * 20
