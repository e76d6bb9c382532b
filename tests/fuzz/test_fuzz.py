"""What comes from outside, mutated: every command ends with a code of the contract, and never "unforeseen".

Bounded and seeded, so that a failure comes again; ``make fuzz`` draws more.
The corpora are files of our own that other tests make.
"""

from __future__ import annotations

import copy
import json
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tais.attest import verify_run
from tais.engines.imported_outputs import Files, read_outputs
from tais.engines.openai.answers import read_answer
from tais.engines.openai.dialect import read_counters
from tais.engines.openai.http import Malformed
from tais.errors import TaisError
from tais.gate.policy import load_policy
from tais.manifest.load import load_manifest
from tais.manifest.model import Arm
from tests.attest.runs import ASSETS, copy_run, trusted_key, write_screen
from tests.conftest import Tais

MANY = int(os.environ.get("TAIS_FUZZ", "6"))
SEED = int(os.environ.get("TAIS_FUZZ_SEED", "0"))
_BYTES = (
    b"\0",
    b"\xff\xfe",
    b"\xed\xa0\x80",
    b"{" * 300,
    b"1e999",
    b"-1",
    b"null",
    b"\n",
    b"\x1b[2J",
    b"9" * 400,
)

_VALUES: tuple[Any, ...] = (
    None,
    True,
    -1,
    2**70,
    1e308,
    "",
    "\ud800",
    "../x",
    [],
    {},
    [[]],
    {"a": 1},
    "x" * 3000,
)


def mutated(data: bytes, draw: random.Random) -> bytes:
    """Change a file in one to three places: cut, flip, leave out, double, put in."""
    changed = bytearray(data)
    for _ in range(draw.randint(1, 3)):
        at = draw.randrange(len(changed) + 1)
        end = min(len(changed), at + draw.choice((1, 1, 4, 40, 4000)))
        what = draw.randrange(6)
        if what == 0:
            del changed[at:]
        elif what == 1 and at < len(changed):
            changed[at] ^= 1 << draw.randrange(8)
        elif what == 2:
            del changed[at:end]
        elif what == 3:
            changed[at:at] = changed[at:end]
        else:
            changed[at:at] = draw.choice(_BYTES)
    return bytes(changed)


def mutated_json(value: Any, draw: random.Random) -> Any:
    """Put another value somewhere into nested data."""
    changed = copy.deepcopy(value)
    inner: Any = changed
    other = draw.choice(_VALUES)
    while True:
        keys = list(inner) if isinstance(inner, dict) else list(range(len(inner)))
        if not keys:
            return changed
        key = draw.choice(keys)
        if isinstance(inner[key], dict | list) and inner[key] and draw.random() < 0.8:
            inner = inner[key]
            continue
        inner[key] = other
        return changed


@pytest.fixture(params=range(MANY))
def draw(request: pytest.FixtureRequest) -> random.Random:
    return random.Random(f"{SEED} {request.param}")


def test_a_run_directory(draw: random.Random, small_run: Path, tais: Tais, tmp_path: Path) -> None:
    run_dir = copy_run(tmp_path / "in", small_run)
    names = sorted(p for p in run_dir.rglob("*") if p.is_file() and "logs" not in p.parts)
    path = draw.choice(names)
    if path.suffix == ".json" and draw.random() < 0.7:
        path.write_text(json.dumps(mutated_json(json.loads(path.read_bytes()), draw)))
    else:
        path.write_bytes(mutated(path.read_bytes(), draw))
    sides = ("--reference", "target", "--candidate", "candidate")
    for command in (("report", run_dir), ("compare", run_dir, small_run, *sides)):
        done = tais(*command)
        assert done.returncode in (0, 1, 2, 3, 4, 5), (path, done.stderr)
        assert "unforeseen" not in done.stderr, (path, done.stderr)
        assert done.stderr.count("tais: error") <= 1


def test_a_signed_run_is_refused(draw: random.Random, tmp_path: Path) -> None:
    run_dir = copy_run(tmp_path)
    path = draw.choice(sorted(p for p in run_dir.rglob("*") if p.is_file()))
    before = path.read_bytes()
    path.write_bytes(mutated(before, draw))
    if path.read_bytes() == before:
        return
    with pytest.raises(TaisError) as raised:
        verify_run(run_dir, [trusted_key()])
    assert raised.value.exit_code == 5


def _files(path: Path) -> Files:
    return Files(Arm(name="a", engine="import", path=str(path)))


READERS: dict[str, tuple[str, Callable[[Path], object]]] = {
    "manifest": ("small.yaml", load_manifest),
    "policy": ("full.yaml", load_policy),
    "outputs": ("target.jsonl", lambda path: list(read_outputs(_files(path)))),
}


@pytest.mark.parametrize("kind", READERS)
def test_a_file_that_people_write(kind: str, draw: random.Random, tmp_path: Path) -> None:
    name, read = READERS[kind]
    write_screen(tmp_path)
    shutil.copyfile(ASSETS / "policies" / "full.yaml", tmp_path / "full.yaml")
    for _ in range(10):
        (tmp_path / "changed").write_bytes(mutated((tmp_path / name).read_bytes(), draw))
        said = ""
        try:
            read(tmp_path / "changed")
        except TaisError as error:
            said = str(error)
        assert "\n" not in said


def test_what_a_server_answers(draw: random.Random) -> None:
    answer = {
        "id": "x",
        "model": "m",
        "choices": [
            {
                "message": {"content": "no", "tool_calls": [{"id": "1", "function": {"arguments": "{}"}}]},
                "finish_reason": "stop",
                "token_ids": [1, 2],
                "logprobs": {"content": [{"top_logprobs": [{"token": "a", "logprob": -1.0, "id": 1}]}] * 2},
            }
        ],
        "usage": {"prompt_tokens": 3, "completion_tokens": 2},
        "metrics": {"speculative_decoding": {"per_step_drafted": [1], "per_step_accepted": [1]}},
    }
    for _ in range(50):
        changed = mutated_json(answer, draw)
        try:
            read_answer(changed, chat=True)
        except Malformed:
            continue
    text = b'vllm:spec_decode_num_drafts_total{model_name="m",position="0"} 12\n' * 3
    for _ in range(20):
        read_counters(mutated(text, draw).decode(errors="replace"))
