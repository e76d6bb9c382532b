"""Chat templates found and tried without an engine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tais.engines.chat_template import (
    FoundTemplate,
    TemplateRefusal,
    find_template,
    served_template,
    try_template,
    unread_kwargs,
    with_fixed_clock,
)
from tais.manifest.model import Arm
from tais.records import Message

PLAIN = "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}"
DATED = "{{ strftime_now('%d %b %Y %H:%M') }}" + PLAIN
NO_SYSTEM = (
    "{% if messages[0].role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
)
CHAT = [Message("user", "Hi"), Message("assistant", "Yes?"), Message("user", "Open it")]


def arm(model: Path | str, engine: str = "vllm", **settings: Any) -> Arm:
    return Arm(name="a", engine=engine, model=str(model), **settings)


def folder(tmp_path: Path, **files: str) -> Path:
    for name, text in {"tokenizer_config__json": "{}", **files}.items():
        (tmp_path / name.replace("__", ".")).write_text(text)
    return tmp_path


# Where transformers 5 and vLLM 0.32 look, and what goes before what.
FOUND: list[tuple[dict[str, str], str, str]] = [
    ({}, "none", ""),
    ({"tokenizer_config__json": json.dumps({"chat_template": PLAIN})}, "text", PLAIN),
    ({"chat_template__json": json.dumps({"chat_template": PLAIN})}, "text", PLAIN),
    (
        {"tokenizer_config__json": json.dumps({"chat_template": "old"}), "chat_template__jinja": PLAIN},
        "text",
        PLAIN,
    ),
    (
        {
            "tokenizer_config__json": json.dumps(
                {
                    "chat_template": [
                        {"name": "tool_use", "template": "x"},
                        {"name": "default", "template": PLAIN},
                    ]
                }
            )
        },
        "text",
        PLAIN,
    ),
    ({"tekken__json": "{}"}, "own", ""),
    ({"tekken__json": "{}", "consolidated__safetensors": "", "chat_template__jinja": PLAIN}, "own", ""),
    ({"config__json": '{"architectures": ["DeepseekV32ForCausalLM"]}'}, "own", ""),
    ({"tokenizer__model__v3": "", "consolidated__safetensors": "", "chat_template__jinja": PLAIN}, "own", ""),
    ({"weights__gguf": ""}, "unknown", ""),
    ({"tokenizer_config__json": "[broken"}, "none", ""),
]


@pytest.mark.parametrize(("files", "kind", "text"), FOUND)
def test_a_models_template_is_found_where_its_engine_looks(
    files: dict[str, str], kind: str, text: str, tmp_path: Path
) -> None:
    found = find_template(arm(folder(tmp_path, **files)))
    assert (found.kind, found.text) == (kind, text)


def test_an_arms_own_template_and_mode_go_before_the_models(tmp_path: Path) -> None:
    model = folder(tmp_path, chat_template__jinja=PLAIN)
    (tmp_path / "own.jinja").write_text(DATED)
    assert find_template(arm(model, chat_template=str(tmp_path / "own.jinja"))).text == DATED
    assert find_template(arm(model, engine_args={"tokenizer_mode": "deepseek_v32"})).kind == "own"
    served = {"engine_args": {"serve": {"tokenizer-mode": "mistral"}}}
    assert find_template(arm(model, "openai", **served)).kind == "own"
    assert find_template(arm(model, engine_args={"tokenizer_mode": "hf"})).text == PLAIN


def test_a_server_that_runs_already_has_a_template_of_its_own(tmp_path: Path) -> None:
    model = str(folder(tmp_path, chat_template__jinja=PLAIN))
    server = {"base_url": "http://localhost:1"}
    assert find_template(arm("m", "openai", tokenizer=model, engine_args=server)).kind == "unknown"
    here = {**server, "endpoint": "completions"}
    assert find_template(arm("m", "openai", tokenizer=model, engine_args=here)).text == PLAIN


def test_a_hub_model_is_known_where_its_files_are_cached(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = pytest.importorskip("huggingface_hub")
    model = folder(tmp_path, chat_template__jinja=DATED)

    def cached(name: str, file: str, revision: str | None = None) -> str | None:
        path = model / file
        return str(path) if (name, revision) == ("org/name", "abc") and path.exists() else None

    monkeypatch.setattr(hub, "try_to_load_from_cache", cached)
    assert find_template(arm("org/name", revision="abc")).text == DATED
    unknown = find_template(arm("org/other"))
    # It may read the clock, for all that is known.
    assert (unknown.kind, unknown.reads_clock) == ("unknown", True)


def test_a_template_is_tried_with_the_day_and_the_settings_of_its_arm(tmp_path: Path) -> None:
    text = (
        "{{ bos_token }}{% generation %}{{ strftime_now('%Y-%m-%d %H') }}{% endgeneration %}{{ mood }}"
        + PLAIN
    )
    config = json.dumps({"bos_token": {"content": "<s>"}})
    model = folder(tmp_path, chat_template__jinja=text, tokenizer_config__json=config)
    said = arm(model, chat_template_date="2026-03-09", chat_template_kwargs={"mood": "calm"})
    written = try_template(find_template(said), said, CHAT)
    assert written == "<s>2026-03-09 00calm<user>Hi<assistant>Yes?<user>Open it"


def test_only_what_a_template_raises_itself_is_a_refusal() -> None:
    system = [Message("system", "Be brief."), *CHAT]
    with pytest.raises(TemplateRefusal, match="System role not supported"):
        try_template(FoundTemplate("text", NO_SYSTEM), arm("m"), system)
    for text in (
        NO_SYSTEM,
        "{{ nothing.there }}",
        "{% broken",
        "{{ 1 // 0 }}",
        "{{ messages.__class__.mro() }}",
    ):
        try_template(FoundTemplate("text", text), arm("m"), CHAT)


def test_settings_that_a_template_never_reads_are_named() -> None:
    text = "{% if enable_thinking is defined and enable_thinking %}<think>{% endif %}" + PLAIN
    kwargs = {"enable_thinking": False, "enable_thinkin": True}
    assert unread_kwargs(FoundTemplate("text", text), kwargs) == ["enable_thinkin"]
    assert unread_kwargs(FoundTemplate("unknown"), kwargs) == []


@pytest.mark.parametrize(
    "text",
    [
        "{% set form = '%d %b %Y' %}{{ strftime_now(form) }}",
        "{{ strftime_now('%A, ' ~ '%B %-d') }}{{ strftime_now('%Y') }}",
        "{{ strftime_now(format='%Y-%m-%dT%H:%M %%d %j') }}",
        "{% if strftime_now is defined %}{% set now = strftime_now %}{{ now('%y') }}{% endif %}",
        "{% macro day(form) %}{{ strftime_now(form) }}{% endmacro %}{{ day('%a %e') }}",
        "\n  {% set form = '%d' %}\n x {{ strftime_now(form) }}\n",
    ],
)
def test_a_format_that_is_put_together_is_written_out_for_a_server(text: str) -> None:
    fixed = with_fixed_clock(text, "2025-03-09")
    # What transformers would write with that day's clock; the server's own is another.
    day = arm("m", chat_template_date="2025-03-09")
    assert try_template(FoundTemplate("text", fixed), arm("m"), CHAT) == try_template(
        FoundTemplate("text", text), day, CHAT
    )
    assert try_template(FoundTemplate("text", text), day, CHAT)


def test_a_server_gets_the_template_with_its_date_written_out(tmp_path: Path) -> None:
    text = """{% set d = strftime_now("%d %b %Y") if strftime_now is defined %}{{ strftime_now( '%H"' ) }}"""
    assert with_fixed_clock(text, "2026-03-09") == (
        """{% set d = "09 Mar 2026" if strftime_now is defined %}{{ "00\\"" }}"""
    )
    model = folder(tmp_path, chat_template__jinja=text)
    served: dict[str, Any] = {"engine_args": {"serve": {}}}
    assert served_template(arm(model, "openai", **served)) is None
    dated = served_template(arm(model, "openai", chat_template_date="2026-03-09", **served))
    assert dated is not None
    assert "09 Mar 2026" in dated
