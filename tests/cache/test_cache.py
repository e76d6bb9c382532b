"""A cache saves the run of an arm, and never makes two arms identical by construction."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tais.cache.address import address_of, items_digest, machine_facts, why_not
from tais.cache.store import CacheStore, Damaged, Entry, Origin
from tais.errors import StoreError, UsageError
from tais.manifest.model import Sampling
from tais.plan.items import write_items
from tais.plan.plan import make_plan
from tais.rundir.lock_model import LockedArm
from tais.rundir.origin import origin_of, same_source
from tais.runs.observer import Silent
from tais.runs.options import RunOptions
from tais.runs.run import run
from tests.conftest import Screen, Tais, without_times

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which a screen ran once and left its arms in a cache."""
    folder = tmp_path_factory.mktemp("filled")
    run_once(Screen(folder), folder / "cache")
    return folder


@pytest.fixture
def cached(filled: Path, tmp_path: Path) -> tuple[Screen, Path]:
    """A copy of that folder, as screen and cache."""
    shutil.copytree(filled, tmp_path, dirs_exist_ok=True)
    return Screen(tmp_path), tmp_path / "cache"


def run_once(screen: Screen, cache: Path | str, **options: Any) -> Silent:
    observer = Silent()
    run(screen.path, RunOptions(out=screen.out, cache=str(cache), **options), observer)
    return observer


def origins(screen: Screen) -> dict[str, str]:
    """The run in which each arm of the newest run was generated, where it was another."""
    folders = sorted((screen.run_dirs()[-1] / "arms").iterdir())
    return {f.name: found["run"] for f in folders if (found := origin_of(f)) is not None}


def entries(cache: Path) -> list[Path]:
    """Entries of arms; answers to probes have entries of their own, which hold no engine.json."""
    found = sorted(cache.glob("*/*/entry.json"))
    return [path for path in found if "engine.json" in json.loads(path.read_text())["files"]]


def test_a_second_run_takes_its_arms_from_the_first_and_decides_alike(cached: tuple[Screen, Path]) -> None:
    screen, cache = cached
    first, before = screen.run_dirs()[-1].name, screen.report()
    assert origins(screen) == {}
    said = run_once(screen, cache).notes
    assert origins(screen) == {"target": first, "spec": first, "leaky": first}
    assert any(note.startswith("again: runs whatever the cache holds") for note in said)
    assert any(note.startswith(f"target: from the cache (run {first},") for note in said)
    after = screen.report()
    assert after["verdict"] == before["verdict"]
    assert after["facts"]["arms"]["target"].pop("origin")["arm"] == "target"
    codes = {reason["code"] for contrast in after["contrasts"] for reason in contrast["reasons"]}
    assert "reused_arm" in codes
    for arm in ("spec", "leaky"):
        del after["facts"]["arms"][arm]["origin"]
    for contrast in after["contrasts"]:
        contrast["reasons"] = [r for r in contrast["reasons"] if r["code"] != "reused_arm"]
    assert without_times(after) == without_times(before)


def test_the_candidate_of_a_calibration_always_runs(screen: Screen, tmp_path: Path) -> None:
    # The same stack under another name: its address is the target's own.
    screen.data["arms"]["again"] = {"extends": "target"}
    screen.write()
    for _ in range(3):
        run_once(screen, tmp_path / "cache")
        assert "again" not in origins(screen)
    assert "target" in origins(screen)


def test_one_entry_serves_one_arm_of_a_run(screen: Screen, tmp_path: Path) -> None:
    screen.data["arms"] = {"one": {"engine": "fake", "model": "none"}, "two": {"extends": "one"}}
    screen.data["contrasts"] = [{"reference": "one", "candidate": "two"}]
    screen.write()
    run_once(screen, tmp_path / "cache")
    assert len(entries(tmp_path / "cache")) == 1
    run_once(screen, tmp_path / "cache")
    assert list(origins(screen)) == ["one"]


def test_what_a_run_stored_does_not_come_back_to_it(screen: Screen, tmp_path: Path) -> None:
    screen.data["arms"] = {"one": {"engine": "fake", "model": "none"}, "two": {"extends": "one"}}
    screen.data["contrasts"] = [{"reference": "one", "candidate": "two"}]
    screen.write()
    run_once(screen, tmp_path / "cache")
    # As after a kill between the two arms.
    run_dir = screen.run_dirs()[-1]
    shutil.rmtree(run_dir / "arms" / "two")
    (run_dir / "report.json").unlink()
    run_once(screen, tmp_path / "cache", resume=True)
    assert len(screen.run_dirs()) == 1
    assert origins(screen) == {}


def test_an_entry_used_before_an_interruption_serves_no_second_arm_after_it(
    cached: tuple[Screen, Path],
) -> None:
    screen, cache = cached
    run_once(screen, cache)
    run_dir = screen.run_dirs()[-1]
    before = origins(screen)
    shutil.rmtree(run_dir / "arms" / "leaky")
    shutil.rmtree(run_dir / "arms" / "again")
    (run_dir / "report.json").unlink()
    run_once(screen, cache, resume=True)
    assert origins(screen) == before


def test_an_arm_that_was_interrupted_is_finished_and_not_replaced(cached: tuple[Screen, Path]) -> None:
    screen, cache = cached
    run_dir = screen.run_dirs()[-1]
    (run_dir / "report.json").unlink()
    stored = sorted(path.name for path in (run_dir / "arms" / "spec").iterdir())
    run_once(screen, cache, resume=True)
    assert sorted(path.name for path in (run_dir / "arms" / "spec").iterdir()) == stored


def test_two_copies_of_the_same_answers_cannot_pass(cached: tuple[Screen, Path], tais: Tais) -> None:
    screen, cache = cached
    run_once(screen, cache)
    run_dir = screen.run_dirs()[-1]
    # What no run does by itself: somebody put the target's copy in the place of the candidate.
    shutil.rmtree(run_dir / "arms" / "spec")
    shutil.copytree(run_dir / "arms" / "target", run_dir / "arms" / "spec")
    done = tais("report", run_dir, "--format", "json")
    contrast = json.loads(done.stdout)["contrasts"][0]
    assert contrast["verdict"] == "inconclusive"
    assert "same_answers" in {r["code"] for r in contrast["reasons"] if r["severity"] == "decides"}


def test_compare_refuses_a_run_against_the_cache_that_it_filled(
    cached: tuple[Screen, Path], tais: Tais
) -> None:
    screen, cache = cached
    run_once(screen, cache)
    first, second = screen.run_dirs()
    arguments = ("--reference", "target", "--candidate", "target", "--out", screen.folder / "cmp")
    done = tais("compare", first, second, *arguments)
    assert done.returncode == 2
    assert "copies of the same answers" in done.stderr


def test_a_damaged_entry_is_said_run_anew_and_replaced(cached: tuple[Screen, Path]) -> None:
    screen, cache = cached
    verdict = screen.report()["verdict"]
    ways = iter(("part", "entry", "missing", "rows"))
    for entry in entries(cache):
        value, damage = json.loads(entry.read_text()), next(ways)
        part = entry.parent / value["folder"] / "part-00000.parquet"
        if damage == "part":
            part.write_bytes(part.read_bytes()[:-9] + b"x" * 9)
        elif damage == "entry":
            entry.write_text(entry.read_text()[:-40])
        elif damage == "missing":
            part.unlink()
        else:
            entry.write_text(json.dumps({**value, "samples": 3}))
    said = run_once(screen, cache).notes
    # Of four entries one is that of the calibration's candidate, for which nobody asks.
    assert sum("it runs anew" in note for note in said) == 3
    assert origins(screen) == {}
    assert screen.report()["verdict"] == verdict
    run_once(screen, cache)
    assert len(origins(screen)) == 3, "what was damaged is whole again"


def addresses(screen: Screen, **variables: str) -> dict[str, str]:
    """The address of every arm of a screen, as a run computes it."""
    plan = make_plan(screen.write())
    path = screen.folder / "asked.parquet"
    write_items(path, plan.batteries)
    machine, items = machine_facts(variables), items_digest(path)
    return {
        name: address_of(name, arm, plan.lock.sampling, items, machine)
        for name, arm in plan.lock.arms.items()
    }


@pytest.mark.parametrize(
    "change",
    [
        {"sampling": {"max_tokens": 79}},
        {"sampling": {"max_tokens": 80, "seed": 7}},
        {"sampling": {"max_tokens": 80, "temperature": 0.5}},
        {"batteries": [{"name": "mine", "path": "mine.yaml", "limit": 119}]},
    ],
)
def test_other_questions_or_sampling_are_other_addresses(change: dict[str, Any], screen: Screen) -> None:
    before = addresses(screen)
    assert len(set(before.values())) == 4
    screen.data |= change
    assert not set(addresses(screen).values()) & set(before.values())


def test_rules_and_expectations_change_no_address(screen: Screen) -> None:
    before = addresses(screen)
    screen.data["rules"] = {"margin": 0.05}
    battery = screen.folder / "mine.yaml"
    battery.write_text(battery.read_text().replace("expect: refuse", "expect: answer"))
    assert addresses(screen) == before


def test_an_environment_variable_that_engines_read_is_another_address(screen: Screen) -> None:
    before = addresses(screen)
    assert addresses(screen, HOME="/elsewhere") == before
    changed = addresses(screen, VLLM_CPU_ATTN_SPLIT_KV="0")
    assert not set(changed.values()) & set(before.values())


ARM: dict[str, Any] = {
    "engine": "vllm",
    "model": {"folder": "m", "files": {"model.safetensors": "0" * 64}},
    "revision": None,
    "tokenizer": None,
    "dtype": None,
    "order": "battery",
    "engine_args": {},
    "speculative_config": None,
    "path": None,
    "chat_template": None,
    "system_prompt": None,
}


def locked(**change: object) -> LockedArm:
    return LockedArm.model_validate({**ARM, **change})


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"engine": "import"}, "exist already"),
        ({"engine": "openai"}, "server that runs elsewhere"),
        ({"model": "org/name"}, "without a commit"),
        ({"model": "org/name", "revision": "main"}, "without a commit"),
        ({"speculative_config": {"model": "org/draft"}}, "draft"),
        (
            {"speculative_config": {"method": "custom_class", "custom_class": "my.module.Drafter"}},
            "my.module",
        ),
        ({"engine_args": {"verifier": "my.module:verify"}}, "my.module:verify"),
        ({"engine_args": {"lora": ["/adapters/one"]}}, "/adapters/one"),
        ({"fault": {"name": "bonus"}}, "fault"),
    ],
)
def test_what_is_not_fixed_is_not_cached(change: dict[str, Any], said: str) -> None:
    assert said in str(why_not(locked(**change), looks=False))


def test_what_the_lock_fixes_is_cached() -> None:
    commit = "a" * 40
    assert why_not(locked(), looks=False) is None
    assert why_not(locked(model="org/name", revision=commit), looks=False) is None
    assert why_not(locked(speculative_config={"method": "ngram"}), looks=False) is None
    assert "stop early" in str(why_not(locked(), looks=True))


def test_the_address_holds_weights_and_no_folder_names() -> None:
    def address(name: str = "a", **change: Any) -> str:
        return address_of(name, locked(**change), Sampling(seed=1), "items", {"cpu": "x"})

    moved = {"folder": "elsewhere", "files": ARM["model"]["files"]}
    other = {"folder": "m", "files": {"model.safetensors": "1" * 64}}
    assert address() == address("b") == address(model=moved)
    assert address() != address(model=other)
    assert address(order="shuffled") != address("b", order="shuffled")
    assert address_of("a", locked(), Sampling(seed=1), "items", {"cpu": "y"}) != address()


def stored(store: CacheStore, folder: Path, run: str) -> Entry:
    part = folder / "part-00000.parquet"
    part.write_bytes(run.encode())
    return store.put("ab" * 32, [part], 1, "r", Origin(run, "a", "d", "m", "0"))


def test_a_store_behind_a_url(tmp_path: Path) -> None:
    store = CacheStore("memory://tais-test-cache")
    assert store.find("ab" * 32) is None
    first, second = stored(store, tmp_path, "one"), stored(store, tmp_path, "two")
    assert store.find("ab" * 32) == second
    with pytest.raises(Damaged):
        store.fetch(first, tmp_path)  # its files went with it
    (tmp_path / "out").mkdir()
    store.fetch(second, tmp_path / "out")
    assert (tmp_path / "out" / "part-00000.parquet").read_bytes() == b"two"


def test_a_run_with_a_cache_behind_a_url(screen: Screen) -> None:
    where = "memory://tais-test-run"
    run_once(screen, where)
    run_once(screen, where)
    assert set(origins(screen)) == {"leaky", "spec", "target"}


def test_an_entry_cannot_name_files_outside_itself(tmp_path: Path) -> None:
    store = CacheStore(f"file://{tmp_path}/c")
    entry = stored(store, tmp_path, "one")
    path = next((tmp_path / "c").glob("*/*/entry.json"))
    for name in ("../../x", "/etc/passwd", "part-0.parquet"):
        path.write_text(path.read_text().replace("part-00000.parquet", name))
        with pytest.raises(Damaged, match="not of this address"):
            store.find(entry.address)
        path.write_bytes(entry.to_bytes())
    assert store.find(entry.address) == entry


def test_a_cache_that_nobody_can_open(screen: Screen, tais: Tais) -> None:
    done = tais("run", screen.path, "--out", screen.out, "--cache", "nosuch://x")
    assert done.returncode == 2
    assert "--cache" in done.stderr
    with pytest.raises(UsageError, match="cannot be opened"):
        CacheStore("nosuch://x")


def test_a_cache_that_cannot_be_written_costs_no_verdict(screen: Screen, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    said = run_once(screen, tmp_path / "cache").notes
    assert any("not in the cache" in note for note in said)
    assert screen.report()["verdict"] == "pass"


def test_a_signed_run_with_arms_from_a_cache_verifies(
    cached: tuple[Screen, Path], tais: Tais, tmp_path: Path
) -> None:
    screen, cache = cached
    keys = tmp_path / "keys"
    assert tais("keygen", "--out", keys).returncode == 0
    arguments = ("--out", screen.out, "--cache", cache, "--key", keys / "tais.key")
    done = tais("run", screen.path, *arguments, TAIS_UNSIGNED="0")
    assert done.returncode == 0, done.stderr
    assert origins(screen)
    run_dir = screen.run_dirs()[-1]
    verify = ("verify", run_dir, "--key", keys / "tais.pub", "--recompute")
    assert tais(*verify).returncode == 0
    page = (run_dir / "report.html").read_text()
    assert "target came from the cache" in page
    (run_dir / "arms" / "target" / "origin.json").unlink()
    assert tais(*verify).returncode == 5


def test_an_origin_that_says_nothing_is_refused(tmp_path: Path) -> None:
    (tmp_path / "origin.json").write_text("{}")
    with pytest.raises(StoreError, match="does not say where"):
        origin_of(tmp_path)
    assert not same_source(None, {"run": "r", "arm": "a"})
