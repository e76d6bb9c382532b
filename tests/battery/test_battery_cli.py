"""``tais battery``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from tais.battery.load import load_battery
from tais.cli.battery import app
from tais.errors import ManifestError
from tais.manifest.model import BatteryRef

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def tais(*arguments: str) -> Result:
    result = CliRunner().invoke(app, list(arguments))
    if isinstance(result.exception, Exception) and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def hub_battery(folder: Path) -> Path:
    (folder / "data/org/set").mkdir(parents=True)
    (folder / "data/org/set/train.jsonl").write_text(
        '{"id": 1, "prompt": "secret words"}\n{"id": 2, "prompt": "b"}\n'
    )
    path = folder / "mine.yaml"
    path.write_text(
        "name: mine  # kept\nsource: {hub: org/set, revision: }\ncolumns: {id: id, prompt: prompt}\n"
        "expect: refuse\nscorer: refusal\nlicense: MIT\nexpected: {items: 9}\n"
    )
    return path


def test_list_shows_licence_and_access() -> None:
    lines = {line.split("\t")[0]: line.split("\t")[1:] for line in tais("list").stdout.splitlines()}
    assert lines["demo_refuse"] == ["refusal", "Apache-2.0", "open", "file"]
    assert lines["do_not_answer"] == ["refusal", "CC-BY-NC-SA-4.0", "restricted", "not pinned"]
    assert json.loads(tais("list", "--schema").stdout)["title"] == "TAIS battery"


def test_show_prints_the_file() -> None:
    assert tais("show", "demo_json").stdout.startswith("name: demo_json\n")
    with pytest.raises(ManifestError, match="Did you mean 'demo_json'"):
        tais("show", "demo_jsn")


def test_check_prints_five_items() -> None:
    result = tais("check", "demo_choice")
    items = [json.loads(line) for line in result.stdout.splitlines()]
    assert len(items) == 5
    assert items[0]["id"] == "demo-choice-001"
    assert "130 items" in result.stderr


def test_check_prints_other_scripts_as_they_are_and_nothing_that_acts(tmp_path: Path) -> None:
    seen = "통조림을 어떻게 열어요? 怎么打开？ كيف नमस्\u200dते"
    acting = "\x1b[31m \u202e \u0085 \ud800 ##[error]"
    rows = [json.dumps({"id": n, "prompt": text}) for n, text in enumerate((seen, acting))]
    (tmp_path / "items.jsonl").write_text("\n".join(rows))
    (tmp_path / "mine.yaml").write_text(
        "name: mine\nsource: {path: items.jsonl}\ncolumns: {id: id, prompt: prompt}\n"
        "expect: refuse\nscorer: refusal\nlicense: MIT\n"
    )
    first, second = tais("check", str(tmp_path / "mine.yaml")).stdout.splitlines()
    assert f'"prompt": "{seen}"' in first
    # One line of JSON each, which says the same.
    assert json.loads(second)["prompt"] == acting
    assert second.isascii()
    assert not any(told in second for told in ("\x1b", "##["))


def test_check_can_leave_texts_out(tmp_path: Path) -> None:
    path = hub_battery(tmp_path)
    path.write_text(path.read_text().replace("expected: {items: 9}\n", ""))
    result = tais("check", str(path), "--data-dir", str(tmp_path / "data"), "--redact")
    assert "secret" not in result.stdout + result.stderr
    assert len(json.loads(result.stdout.splitlines()[0])["sha256"]) == 64
    assert "not pinned" in result.stderr


def test_a_pin_renews_old_ones_keeps_comments_and_then_binds(tmp_path: Path) -> None:
    path, data = hub_battery(tmp_path), str(tmp_path / "data")
    out = tmp_path / "pinned.yaml"
    tais("pin", str(path), "--out", str(out), "--data-dir", data, "--revision", COMMIT)
    assert "# kept" in out.read_text()
    assert path.read_text().count("items: 9") == 1
    assert sorted(p.name for p in tmp_path.iterdir()) == ["data", "mine.yaml", "pinned.yaml"]
    battery = load_battery(BatteryRef(name="mine", path=str(out)), Path(), tmp_path / "data")
    assert battery.definition.pinned
    assert battery.definition.source.revision == COMMIT
    assert tais("digest", str(out), "--data-dir", data).stdout.strip() == battery.content_digest
    (tmp_path / "data/org/set/train.jsonl").write_text(
        '{"id": 1, "prompt": "other"}\n{"id": 2, "prompt": "b"}\n'
    )
    with pytest.raises(ManifestError, match="the source has digest"):
        load_battery(BatteryRef(name="mine", path=str(out)), Path(), tmp_path / "data")


@pytest.mark.parametrize("revision", ["main", "v1.0", "0123"])
def test_a_branch_is_no_pin(revision: str, tmp_path: Path) -> None:
    path = hub_battery(tmp_path)
    with pytest.raises(ManifestError, match="is no commit"):
        tais("pin", str(path), "--out", str(tmp_path / "o.yaml"), "--revision", revision)
    assert not (tmp_path / "o.yaml").exists()


def test_edge_writes_a_battery(tmp_path: Path) -> None:
    tokenizers = pytest.importorskip("tokenizers")
    inner = tokenizers.Tokenizer(tokenizers.models.BPE())
    inner.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = tokenizers.decoders.ByteLevel()
    alphabet = tokenizers.pre_tokenizers.ByteLevel.alphabet()
    trainer = tokenizers.trainers.BpeTrainer(vocab_size=260, initial_alphabet=alphabet, show_progress=False)
    inner.train_from_iterator(["a"], trainer)
    inner.save(str(tmp_path / "tokenizer.json"))
    out = tmp_path / "edge"
    sizes = ("--draft-tokens", "3", "--block", "8", "--chunk", "32", "--max-model-len", "96")
    tais("edge", "--tokenizer", str(tmp_path), "--out", str(out), *sizes)
    battery = load_battery(BatteryRef(name="edge", path="serving_edge.yaml"), out)
    assert {item.group for item in battery.items} >= {"short", "block", "chunk", "limit", "prefix"}
