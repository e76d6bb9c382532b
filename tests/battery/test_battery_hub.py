"""Hub data sets: local copies, and the errors without them."""

from __future__ import annotations

import json
import sys
import types
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tais.battery.load import LoadedBattery, load_battery
from tais.errors import ManifestError
from tais.manifest.model import BatteryRef

ROWS = [{"id": n, "prompt": f"Question {n}"} for n in range(4)]


def load(
    folder: Path, source: str = "{hub: org/set, split: test}", data: Path | None = None
) -> LoadedBattery:
    (folder / "made.yaml").write_text(
        f"name: made\nsource: {source}\ncolumns: {{id: id, prompt: prompt}}\nexpect: refuse\n"
        "scorer: refusal\nlicense: MIT\n"
    )
    return load_battery(BatteryRef(name="made", path="made.yaml"), folder, data)


def jsonl(path: Path, rows: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.fixture(autouse=True)
def no_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TAIS_DATA", raising=False)


@pytest.mark.parametrize(
    "place", ["org/set/test.jsonl", "org/set/data/test.jsonl", "org/set/test-00000-of-00001.jsonl"]
)
def test_a_local_copy_goes_before_the_network(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jsonl(tmp_path / "data" / place, ROWS)
    monkeypatch.setenv("TAIS_DATA", str(tmp_path / "data"))
    battery = load(tmp_path)
    assert len(battery.items) == 4
    assert place in battery.origin
    assert any("not pinned" in note for note in battery.notes)


def test_data_dir_goes_before_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    jsonl(tmp_path / "one" / "org/set/test.jsonl", ROWS)
    jsonl(tmp_path / "two" / "org/set/test.jsonl", ROWS[:1])
    monkeypatch.setenv("TAIS_DATA", str(tmp_path / "one"))
    assert len(load(tmp_path, data=tmp_path / "two").items) == 1


def test_shards_and_configurations_are_joined(tmp_path: Path) -> None:
    for shard in range(2):
        path = tmp_path / "org/set/left" / f"test-0000{shard}-of-00002.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.Table.from_pylist(ROWS[shard : shard + 1]), path)
    jsonl(tmp_path / "org/set/right/test.jsonl", ROWS[2:])
    source = "{hub: org/set, split: test, config: [left, right]}"
    assert [item.id for item in load(tmp_path, source, tmp_path).items] == ["0", "1", "2", "3"]


def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the package ``datasets`` find no network."""
    stub = types.ModuleType("datasets")

    def load_dataset(*args: object, **kwargs: object) -> None:
        raise ConnectionError("Couldn't reach the hub\nlong explanation")

    stub.load_dataset = load_dataset  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "datasets", stub)


def test_one_configuration_missing_is_no_local_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    offline(monkeypatch)
    jsonl(tmp_path / "org/set/right/test.jsonl", ROWS)
    with pytest.raises(ManifestError):
        load(tmp_path, "{hub: org/set, split: test, config: [left, right]}", tmp_path)


def test_without_network_the_error_names_the_variable_and_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offline(monkeypatch)
    with pytest.raises(ManifestError) as caught:
        load(tmp_path)
    message = str(caught.value)
    assert "TAIS_DATA" in message
    assert "org/set/test.jsonl" in message
    assert "made.yaml:2" in message
    assert "long explanation" not in message


def test_without_the_package_the_error_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(ManifestError, match=r"pip install .*\[hub\].*TAIS_DATA"):
        load(tmp_path)


def test_the_pinned_revision_goes_to_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, Any] = {}
    stub = types.ModuleType("datasets")

    def load_dataset(path: str, name: str | None, **settings: Any) -> list[dict[str, Any]]:
        asked.update(settings, path=path, name=name)
        return ROWS

    stub.load_dataset = load_dataset  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "datasets", stub)
    battery = load(tmp_path, "{hub: org/set, split: test, config: c, revision: abc}")
    assert asked == {"path": "org/set", "name": "c", "split": "test", "revision": "abc"}
    assert "abc" in battery.origin
