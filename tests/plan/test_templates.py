"""Chat templates before a run: refused conversations, models without one, and the day that the lock fixes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tais.cache.address import day_key
from tais.cache.store import CacheStore
from tais.errors import ManifestError
from tais.plan import days
from tais.plan.days import days_of
from tais.plan.plan import Plan, make_plan
from tais.runs.options import RunOptions
from tais.runs.run import _on_stored_day

PLAIN = "{% for m in messages %}{{ m.content }}{% endfor %}"
DATED = "{{ strftime_now('%d %b %Y') }}" + PLAIN
NO_SYSTEM = (
    "{% if messages[0].role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    + PLAIN
)


def plan(folder: Path, template: str | None = PLAIN, battery: str = "", top: str = "", **arm: object) -> Plan:
    """Plan a screen of two arms of one local model, which nothing here loads."""
    model = folder / "model"
    model.mkdir(exist_ok=True)
    (model / "model.safetensors").touch()
    (model / "config.json").write_text("{}")
    config = {} if template is None else {"chat_template": template}
    (model / "tokenizer_config.json").write_text(json.dumps(config))
    rows = [{"id": "i-1", "prompt": "Open it", "as": "cook"}, {"id": "i-2", "prompt": "Shut it", "as": ""}]
    (folder / "items.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "b.yaml").write_text(
        "name: mine\nsource: {path: items.jsonl}\ncolumns: {id: id, prompt: prompt}\nexpect: answer\n"
        f"scorer: refusal\nlicense: own\n{battery}"
    )
    target = json.dumps({"engine": "transformers", "model": "./model", **arm})
    (folder / "m.yaml").write_text(
        f"name: made\narms:\n  target: {target}\n  again: {{extends: target, order: shuffled}}\n"
        "contrasts: [{reference: target, candidate: again}]\nbatteries: [{name: mine, path: b.yaml}]\n" + top
    )
    return make_plan(folder / "m.yaml")


def dates(planned: Plan) -> set[str | None]:
    """The days of a plan's arms; manifest and lock say the same."""
    locked = days_of(planned.lock)
    assert locked == {name: arm.chat_template_date for name, arm in planned.manifest.arms.items()}
    return set(locked.values())


@pytest.mark.parametrize(
    ("settings", "what"),
    [
        ({"system_prompt": "Be brief."}, "system_prompt of the arm"),
        ({"battery": "system: '{{ as }}'\n"}, "system turns of the battery"),
    ],
)
def test_a_template_that_refuses_costs_one_line(settings: dict[str, Any], what: str, tmp_path: Path) -> None:
    with pytest.raises(ManifestError) as caught:
        plan(tmp_path, NO_SYSTEM, **settings)
    said = str(caught.value)
    assert "arms.target" in said
    assert "refuses item 'i-1' of battery 'mine' (roles system, user): System role not supported" in said
    assert what in said
    assert "\n" not in said
    assert caught.value.exit_code == 2
    # Without a template there is nothing to refuse.
    plan(tmp_path, NO_SYSTEM, battery=f"{settings.get('battery', '')}chat: false\n")


def test_a_model_without_a_template_gets_a_note_and_chat_true_is_refused(tmp_path: Path) -> None:
    bare = plan(tmp_path, None)
    note = "no chat template (target, again): prompts go to the model as bare text"
    assert note in bare.lock.batteries[0].notes
    assert not plan(tmp_path, None, battery="chat: false\n").lock.batteries[0].notes
    assert not plan(tmp_path, battery="chat: true\n").lock.batteries[0].notes
    with pytest.raises(ManifestError, match="says chat: true, and the model has no chat template"):
        plan(tmp_path, None, battery="chat: true\n")


def test_settings_reach_the_lock_and_unread_ones_are_noted(tmp_path: Path) -> None:
    kwargs = {"enable_thinking": False, "mood": "calm"}
    planned = plan(tmp_path, "{{ mood }}" + PLAIN, chat_template_kwargs=kwargs)
    assert planned.lock.arms["target"].chat_template_kwargs == kwargs
    assert [note.partition(" (")[0] for note in planned.notes] == [
        "target: the chat template reads no enable_thinking",
        "again: the chat template reads no enable_thinking",
    ]
    # Locks of arms that say nothing of it are what they were.
    assert b"chat_template_" not in plan(tmp_path).lock.to_bytes()
    with pytest.raises(
        ManifestError, match=r"arms.target.*reads no 'enable_thinkin'. Did you mean 'enable_thinking'"
    ):
        plan(tmp_path, "{{ enable_thinking }}" + PLAIN, chat_template_kwargs={"enable_thinkin": False})
    with pytest.raises(ManifestError, match="'tokenize' is no variable that a manifest can set"):
        plan(tmp_path, chat_template_kwargs={"tokenize": False})


def test_the_lock_holds_the_day_where_a_template_reads_the_clock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(days, "day_of_the_lock", lambda: "2026-03-09")
    assert dates(plan(tmp_path, DATED)) == {"2026-03-09"}
    assert dates(plan(tmp_path, PLAIN)) == {None}
    assert dates(plan(tmp_path, DATED, top="chat_template_date: 2026-01-02\n")) == {"2026-01-02"}
    assert dates(plan(tmp_path, PLAIN, top="chat_template_date: 2026-01-02\n")) == {None}
    own = plan(tmp_path, DATED, top="chat_template_date: 2026-01-02\n", chat_template_date="2026-01-03")
    assert dates(own) == {"2026-01-03"}
    with pytest.raises(ManifestError, match="must be a day, such as 2026-12-01, not 'yesterday'"):
        plan(tmp_path, DATED, chat_template_date="yesterday")


def test_a_run_that_goes_on_takes_the_day_of_its_lock_unless_one_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(days, "day_of_the_lock", lambda: "2026-03-09")
    before = plan(tmp_path, DATED)
    monkeypatch.setattr(days, "day_of_the_lock", lambda: "2026-03-10")
    after = plan(tmp_path, DATED)
    assert after.lock.to_bytes() != before.lock.to_bytes()
    assert after.on_days(days_of(before.lock)).lock.to_bytes() == before.lock.to_bytes()
    said = plan(tmp_path, DATED, chat_template_date="2026-01-03")
    assert dates(said.on_days(days_of(before.lock))) == {"2026-01-03"}


def test_a_cache_gives_the_day_of_the_answers_that_it_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = RunOptions(out=tmp_path, cache=str(tmp_path / "cache"))
    store = CacheStore(str(tmp_path / "cache"))
    monkeypatch.setattr(days, "day_of_the_lock", lambda: "2026-03-09")
    first = plan(tmp_path, DATED)
    assert _on_stored_day(first, options) is first
    key = day_key(first.lock.arms["target"])
    store.put_day(key, "2026-03-09")
    store.put_day(key, "2026-03-10")
    monkeypatch.setattr(days, "day_of_the_lock", lambda: "2026-03-11")
    assert dates(_on_stored_day(plan(tmp_path, DATED), options)) == {"2026-03-09"}
    # Another stack has another baseline.
    assert dates(_on_stored_day(plan(tmp_path, DATED, dtype="float32"), options)) == {"2026-03-11"}
