"""Conversations as token ids: templates with settings and clock, open turns, classes that render."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tais.common.foreign import hide_broken_packages
from tais.engines.base import EngineRefusal
from tais.engines.prompts import Renderer, render, renders_itself
from tais.engines.tokenizer import read_tokenizer
from tais.manifest.model import Arm
from tais.records import Message, Request, SampleKey
from tests.conftest import ROOT

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

pytestmark = [
    # Imports of torch and its friends warn of each other.
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.skipif(importlib.util.find_spec("transformers") is None, reason="transformers is missing"),
]

TARGET = ROOT / "models" / "demo" / "target"
ASKED = (Message("user", "Name a tin"),)
PREFILL = (*ASKED, Message("assistant", "Soup, "))


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerBase:
    return read_tokenizer(Arm(name="a", engine="transformers", model=str(TARGET)))


def written(tokenizer: PreTrainedTokenizerBase, messages: tuple[Message, ...], **settings: Any) -> str:
    arm = Arm(name="a", engine="transformers", model=str(TARGET), **settings)
    request = Request(SampleKey("mine", "i-1", 0), messages, seed=1)
    return str(tokenizer.decode(Renderer(tokenizer, arm)(request)))


def template(tmp_path: Path, text: str) -> str:
    path = tmp_path / "t.jinja"
    path.write_text(text)
    return str(path)


@pytest.mark.slow
def test_a_last_assistant_turn_is_left_open(tokenizer: PreTrainedTokenizerBase) -> None:
    # The demo models' own template: an assistant's turn ends in <|eos|>.
    assert written(tokenizer, ASKED) == "<|bos|><|user|>Name a tin<|assistant|>"
    assert written(tokenizer, PREFILL) == "<|bos|><|user|>Name a tin<|assistant|>Soup, "
    plain = render(tokenizer, None, PREFILL, False)
    assert tokenizer.decode(plain, skip_special_tokens=True) == "Name a tin\n\nSoup, "


@pytest.mark.slow
def test_a_template_reads_the_arms_day_and_settings(
    tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    text = "{{ strftime_now('%d %b %Y %H') }}, {{ mood }}: {{ messages[0].content }}"
    own = {"chat_template": template(tmp_path, text), "chat_template_kwargs": {"mood": "calm"}}
    assert written(tokenizer, ASKED, chat_template_date="2026-03-09", **own) == (
        "09 Mar 2026 00, calm: Name a tin"
    )


@pytest.mark.slow
def test_a_template_that_refuses_names_the_item(tokenizer: PreTrainedTokenizerBase, tmp_path: Path) -> None:
    refusing = template(tmp_path, "{{ raise_exception('no such roles') }}")
    with pytest.raises(EngineRefusal, match=r"item 'i-1' of battery 'mine': .* refuses .*: no such roles"):
        written(tokenizer, ASKED, chat_template=refusing)


def test_a_prompt_that_is_rendered_already_gets_no_second_first_token() -> None:
    bos = 1

    class Adding:
        """A tokenizer that puts its first token before every text, as Llama 3's does."""

        bos_token, chat_template = "<|bos|>", None

        def encode(self, text: str, add_special_tokens: bool = True) -> list[int]:
            ids = [bos] * text.count("<|bos|>") + [2]
            return [bos, *ids] if add_special_tokens else ids

    adding: Any = Adding()
    rendered = "<|bos|><|user|>Hi<|assistant|>"
    assert render(adding, None, (Message("user", rendered),), False).count(bos) == 1
    assert render(adding, None, (Message("user", "Hi"),), False).count(bos) == 1
    # Templates without a token of the beginning, as ChatML: it was not before them when they were logged.
    chatml = "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"
    assert render(adding, None, (Message("user", chatml),), False).count(bos) == 0


class Own:
    """A class that renders by itself and has no template, as vLLM's for Mistral and DeepSeek."""

    closes = ""

    def apply_chat_template(self, messages: list[dict[str, str]], **options: object) -> list[int]:
        said = "".join(f"[{turn['role']}]{turn['content']}" for turn in messages)
        return [ord(letter) for letter in said + self.closes]

    def decode(self, ids: list[int], skip_special_tokens: bool = False) -> str:
        return "".join(map(chr, ids))


class Closing(Own):
    closes = "</s>"


class Pooled(Own):
    """As vLLM puts one before every tokenizer: it passes on what it is given."""

    def apply_chat_template(self, *args: Any, **kwargs: Any) -> list[int]:
        return super().apply_chat_template(*args, **kwargs)


def test_a_class_that_renders_by_itself_is_asked_to(tmp_path: Path) -> None:
    own: Any = Own()
    pooled: Any = Pooled()
    assert renders_itself(own)
    assert renders_itself(pooled)
    assert own.decode(render(own, None, ASKED, True)) == "[user]Name a tin"
    assert own.decode(render(own, None, PREFILL, True)) == "[user]Name a tin[assistant]Soup, "
    closing: Any = Closing()
    with pytest.raises(EngineRefusal, match="Closing cannot leave an assistant turn open"):
        render(closing, None, PREFILL, True)
    arm = Arm(name="a", engine="vllm", model="m", chat_template=template(tmp_path, "x"))
    with pytest.raises(EngineRefusal, match="Own writes conversations by itself"):
        Renderer(own, arm)


class Bare:
    """A tokenizer without a template."""

    chat_template = None

    def encode(self, text: str) -> list[int]:
        return [ord(letter) for letter in text]


def test_what_writes_the_prompts_is_told(tmp_path: Path) -> None:
    def told(tokenizer: Any, **settings: Any) -> object:
        arm = Arm(name="a", engine="vllm", model="m", **settings)
        return Renderer(tokenizer, arm).resolved()["chat_template"]

    assert told(Own()) == "Own"
    assert told(Bare()) is None
    # printf x | sha256sum
    digest = "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"
    assert told(Bare(), chat_template=template(tmp_path, "x")) == digest


def test_without_a_template_turns_are_joined_by_blank_lines() -> None:
    bare: Any = Bare()
    assert "".join(map(chr, render(bare, None, PREFILL, True))) == "Name a tin\n\nSoup, "


@pytest.mark.slow
def test_transformers_own_classes_are_known_behind_what_passes_on(tokenizer: PreTrainedTokenizerBase) -> None:
    assert not renders_itself(tokenizer)

    class Pool(type(tokenizer)):  # type: ignore[misc]
        def apply_chat_template(self, *args: Any, **kwargs: Any) -> Any:
            return super().apply_chat_template(*args, **kwargs)

    assert not renders_itself(Pool.__new__(Pool))


@pytest.mark.engine
def test_vllms_mistral_tokenizer_writes_the_models_own_format(tmp_path: Path) -> None:
    common = pytest.importorskip("mistral_common")
    if importlib.util.find_spec("vllm") is None:
        pytest.skip("vllm is missing")
    hide_broken_packages()
    from vllm.tokenizers import get_tokenizer

    tekken = Path(common.__file__).parent / "data" / "tekken_240911.json"
    (tmp_path / "tekken.json").write_bytes(tekken.read_bytes())
    (tmp_path / "config.json").write_text('{"model_type": "llama", "architectures": ["LlamaForCausalLM"]}')
    (tmp_path / "consolidated.safetensors").touch()
    found = get_tokenizer(str(tmp_path), tokenizer_mode="mistral")
    # The format of https://docs.mistral.ai and of mistral-common's own tests for tokenizers of version 3.
    assert found.decode(render(found, None, ASKED, True)) == "<s>[INST]Name a tin[/INST]"
    open_turn = render(found, None, (*ASKED, Message("assistant", "Soup,")), True)
    assert found.decode(open_turn) == "<s>[INST]Name a tin[/INST]Soup,"
