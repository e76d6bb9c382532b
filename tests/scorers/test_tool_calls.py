"""Calls of tools in the forms of model families: each row is one form, with where it is described."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tais.scorers.answer import score_answer
from tais.scorers.tool_calls import WRAPPERS, read_calls
from tests.support import get_scorer

EXPECT = {"name": "get_weather", "arguments": {"city": "Rome", "days": 2, "now": True}}
ARGUMENTS = json.dumps(EXPECT["arguments"])
PLAIN = json.dumps(EXPECT)
PARAMETERS = json.dumps({"name": "get_weather", "parameters": EXPECT["arguments"]})
ACTION = json.dumps({"action": "get_weather", "action_input": EXPECT["arguments"]})
PYTHONIC = 'get_weather(city="Rome", days=2, now=True)'
FUNCTION_XML = (
    "<function=get_weather>\n<parameter=city>\nRome\n</parameter>\n<parameter=days>\n2\n</parameter>\n"
    "<parameter=now>\ntrue\n</parameter>\n</function>"
)
INVOKE = (
    '<invoke name="get_weather">\n<parameter name="city">Rome</parameter>\n'
    '<parameter name="days">2</parameter>\n'
    '<parameter name="now">true</parameter>\n</invoke>'
)
GLM = (
    "get_weather\n<arg_key>city</arg_key>\n<arg_value>Rome</arg_value>\n<arg_key>days</arg_key>\n<arg_value>2"
    "</arg_value>\n<arg_key>now</arg_key>\n<arg_value>true</arg_value>\n"
)
GEMMA = 'call:get_weather{city:<|"|>Rome<|"|>,days:2,now:true}'
DSML = (
    '<｜DSML｜function_calls>\n<｜DSML｜invoke name="get_weather">\n'
    '<｜DSML｜parameter name="city" string="true">Rome</｜DSML｜parameter>\n'
    '<｜DSML｜parameter name="days" string="false">2</｜DSML｜parameter>\n'
    '<｜DSML｜parameter name="now" string="false">true</｜DSML｜parameter>\n'
    "</｜DSML｜invoke>\n</｜DSML｜function_calls>"
)

# Form, and a text in it. Sources: the table of marks (tais/scorers/tool_calls.py), and those named here.
FORMS = {
    "JSON": PLAIN,
    "JSON in a fence": f"```json\n{PLAIN}\n```",
    "JSON list (xLAM)": f"[{PLAIN}]",
    "JSON text as arguments (OpenAI interface)": json.dumps({"name": "get_weather", "arguments": ARGUMENTS}),
    "OpenAI tool_calls": json.dumps([{"id": "c", "type": "function", "function": EXPECT}]),
    "Llama 3.1 JSON": PARAMETERS,
    "Llama 3.1 JSON with type": json.dumps({"type": "function", **json.loads(PARAMETERS)}),
    "Llama 3.1 python tag": f"<|python_tag|>{PARAMETERS}<|eom_id|>",
    "Llama 3.1 built-in tools": '<|python_tag|>get_weather.call(city="Rome", days=2, now=True)<|eom_id|>',
    "Llama 3.1 custom tools": f"<function=get_weather>{ARGUMENTS}</function>",
    "Llama 3.2 pythonic": f"[{PYTHONIC}]",
    "Llama 4 pythonic": f"<|python_start|>[{PYTHONIC}]<|python_end|>",
    "a call in Python, alone": PYTHONIC,
    "Hermes, Qwen 2.5": f"<tool_call>\n{PLAIN}\n</tool_call>",
    "Hermes after a preamble": f"I look it up.\n<tool_call>\n{PLAIN}\n</tool_call>",
    "Hermes, left open": f"<tool_call>\n{PLAIN}",
    "Mistral to v7": f"[TOOL_CALLS][{PLAIN}]",
    "Mistral to v7, with ids": f"[TOOL_CALLS] [{json.dumps({**EXPECT, 'id': 'VvvODy9mT'})}]</s>",
    "Mistral v11": f"[TOOL_CALLS]get_weather[ARGS]{ARGUMENTS}",
    "Mistral v11 with call id": f"[TOOL_CALLS]get_weather[CALL_ID]VvvODy9mT[ARGS]{ARGUMENTS}",
    "Mistral v11 without special tokens": f"get_weather{ARGUMENTS}",
    "Qwen3-Coder XML": f"<tool_call>\n{FUNCTION_XML}\n</tool_call>",
    "Qwen3-Coder XML without wrapper": FUNCTION_XML,
    "Seed-OSS": f"<seed:tool_call>\n{FUNCTION_XML}\n</seed:tool_call>",
    "GLM-4.5": f"<tool_call>{GLM}</tool_call>",
    "GLM-4.7": f"<tool_call>{GLM}</tool_call>".replace("\n", ""),
    "MiniMax-M1": f"<tool_calls>\n{PLAIN}\n</tool_calls>",
    "MiniMax-M2": f"<minimax:tool_call>\n{INVOKE}\n</minimax:tool_call>",
    "Anthropic's prompt format": f"<function_calls>\n{INVOKE}\n</function_calls>",
    "DeepSeek-V3, R1": (
        "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>get_weather\n```json\n"
        f"{ARGUMENTS}\n```<｜tool▁call▁end｜><｜tool▁calls▁end｜>"
    ),
    "DeepSeek-V3.1": (
        f"<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>get_weather<｜tool▁sep｜>{ARGUMENTS}<｜tool▁call▁end｜>"
        "<｜tool▁calls▁end｜>"
    ),
    "DeepSeek-V3.2": DSML,
    "Kimi K2": (
        "<|tool_calls_section_begin|><|tool_call_begin|>functions.get_weather:0<|tool_call_argument_begin|>"
        f"{ARGUMENTS}<|tool_call_end|><|tool_calls_section_end|>"
    ),
    "Gemma 4": f"<|tool_call>{GEMMA}<tool_call|>",
    "FunctionGemma": (
        "<start_function_call>call:get_weather{city:<escape>Rome<escape>,days:2,now:true}<end_function_call>"
    ),
    "Gemma 3": f"```tool_code\n{PYTHONIC}\n```",
    "Gemma 3, printed": f"```tool_code\nprint({PYTHONIC})\n```",
    "LFM2": f"<|tool_call_start|>[{PYTHONIC}]<|tool_call_end|>",
    "OLMo 3": f"<function_calls>\n{PYTHONIC}\n</function_calls>",
    "Granite 3": f"<|tool_call|>[{PLAIN}]",
    "Granite 20B": f"<function_call> {PLAIN}",
    "Phi-4-mini": f"<|tool_call|>[{PLAIN}]<|/tool_call|>",
    "Phi-4-mini, functools": f"functools[{PLAIN}]",
    "Command A": (
        "<|START_ACTION|>["
        + json.dumps({"tool_call_id": "0", "tool_name": "get_weather", "parameters": EXPECT["arguments"]})
        + "]<|END_ACTION|>"
    ),
    "InternLM 2.5": f"<|action_start|><|plugin|>\n{PARAMETERS}<|action_end|>",
    "LongCat": f"<longcat_tool_call>{PLAIN}</longcat_tool_call>",
    "Apertus": f'<|tools_prefix|>[{{"get_weather": {ARGUMENTS}}}]<|tools_suffix|>',
    "Step3": (
        "<｜tool_calls_begin｜><｜tool_call_begin｜>function<｜tool_sep｜>"
        + INVOKE.replace("<", "<steptml:").replace("<steptml:/", "</steptml:")
        + "<｜tool_call_end｜><｜tool_calls_end｜>"
    ),
    "Inkling": (
        "<|message_model|><|content_invoke_tool_json|>"
        + json.dumps({"name": "get_weather", "args": EXPECT["arguments"]})
        + "<|end_message|>"
    ),
    "dots": f"<dots_function_call>{INVOKE}</dots_function_call>",
    "ReAct": f"Thought: I need the weather.\nAction: get_weather\nAction Input: {ARGUMENTS}",
    "harmony": (
        "<|channel|>analysis<|message|>I call it.<|end|><|start|>assistant<|channel|>commentary "
        f"to=functions.get_weather <|constrain|>json<|message|>{ARGUMENTS}<|call|>"
    ),
    "harmony, recipient before the channel": (
        "<|start|>assistant to=functions.get_weather<|channel|>commentary<|constrain|>json<|message|>"
        f"{ARGUMENTS}<|call|>"
    ),
    "harmony without special tokens": (
        f"analysisI need the weather first.assistantcommentary to=functions.get_weather json{ARGUMENTS}"
    ),
    # platform.openai.com: chat completions, the legacy interface, and the responses interface.
    "OpenAI message": json.dumps(
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {
                    "id": "c",
                    "type": "function",
                    "function": {"name": "get_weather", "arguments": ARGUMENTS},
                }
            ],
        }
    ),
    "OpenAI answer": json.dumps(
        {"choices": [{"message": {"role": "assistant", "tool_calls": [{"function": EXPECT}]}}]}
    ),
    "OpenAI, legacy function_call": json.dumps(
        {"role": "assistant", "function_call": {"name": "get_weather", "arguments": ARGUMENTS}}
    ),
    "OpenAI responses": json.dumps(
        [
            {"type": "reasoning", "summary": []},
            {"type": "function_call", "name": "get_weather", "call_id": "c", "arguments": ARGUMENTS},
        ]
    ),
    # ai.google.dev: function calling; the second is a whole content.
    "Gemini": json.dumps({"functionCall": {"name": "get_weather", "args": EXPECT["arguments"]}}),
    "Gemini content": json.dumps(
        {
            "role": "model",
            "parts": [
                {"text": "ok"},
                {"functionCall": {"name": "get_weather", "args": EXPECT["arguments"]}},
            ],
        }
    ),
    # docs.anthropic.com: tool use; Bedrock: Converse.
    "Anthropic tool_use": json.dumps(
        {"type": "tool_use", "id": "t", "name": "get_weather", "input": EXPECT["arguments"]}
    ),
    "Anthropic content": json.dumps(
        [
            {"type": "text", "text": "I look it up."},
            {"type": "tool_use", "id": "t", "name": "get_weather", "input": EXPECT["arguments"]},
        ]
    ),
    "Bedrock Converse": json.dumps(
        {
            "role": "assistant",
            "content": [{"toolUse": {"toolUseId": "t", "name": "get_weather", "input": EXPECT["arguments"]}}],
        }
    ),
    # Ollama: /api/chat.
    "Ollama": json.dumps(
        {"message": {"role": "assistant", "content": "", "tool_calls": [{"function": EXPECT}]}}
    ),
    # LangChain: structured chat and JSON agents.
    "action and action_input": ACTION,
    "action in a fence": f"Thought: I need it.\nAction:\n```json\n{ACTION}\n```",
    "action_input as text": json.dumps({"action": "get_weather", "action_input": ARGUMENTS}),
    "ReAct with a fence": f"Thought: x\nAction: get_weather\nAction Input:\n```json\n{ARGUMENTS}\n```",
    "ReAct with an observation made up": (
        f"Action: `get_weather`\nAction Input: {ARGUMENTS}\nObservation: Action: x\nAction Input: {{}}"
    ),
    # Command R's prompt format (huggingface.co/CohereForAI/c4ai-command-r-v01).
    "Command R": (
        "Plan: I look it up.\nAction: ```json\n"
        + json.dumps([{"tool_name": "get_weather", "parameters": EXPECT["arguments"]}])
        + "\n```"
    ),
    "Nemotron Nano 2": f"<TOOLCALL>[{PLAIN}]</TOOLCALL>",
    "xLAM 1": json.dumps({"tool_calls": [EXPECT]}),
    "Kimi K2 with blanks": (
        "<|tool_calls_section_begin|> <|tool_call_begin|> functions.get_weather:0 "
        f"<|tool_call_argument_begin|> {ARGUMENTS} <|tool_call_end|> <|tool_calls_section_end|>"
    ),
    "Hermes, arguments as text": (
        f"<tool_call>{json.dumps({'name': 'get_weather', 'arguments': ARGUMENTS})}</tool_call>"
    ),
    "Python in a fence": f"```python\n{PYTHONIC}\n```",
    "Python with JSON's words": PYTHONIC.replace("True", "true"),
    "Gemini's Python": f"```tool_code\nprint(default_api.{PYTHONIC})\n```",
    "a namespace in front": json.dumps({**EXPECT, "name": "functions.get_weather"}),
    "after thinking": f"<think>\nget_weather(city='Oslo')\n</think>\n\n<tool_call>\n{PLAIN}\n</tool_call>",
}

# Names that prompts without a family's template ask for.
OTHER_NAMES = (
    ("tool", "arguments"), ("tool", "parameters"), ("tool", "args"), ("tool_name", "tool_args"),
    ("tool_name", "tool_input"), ("function", "arguments"), ("function", "parameters"),
    ("function_name", "arguments"), ("name", "kwargs"), ("name", "input"),
)  # fmt: skip
FORMS |= {
    f"{name} and {arguments}": json.dumps({name: "get_weather", arguments: EXPECT["arguments"]})
    for name, arguments in OTHER_NAMES
}


@pytest.mark.parametrize("form", FORMS)
def test_a_call_is_read_in_the_form_of_its_family(form: str) -> None:
    scorer: Any = get_scorer("tool_call")
    scorer.check_expect(EXPECT)
    assert score_answer(scorer, FORMS[form], EXPECT, "stop").label == "match"
    other = FORMS[form].replace("Rome", "Oslo")
    assert score_answer(scorer, other, EXPECT, "stop").label == "other_arguments"
    renamed = FORMS[form].replace("get_weather", "get_climate")
    assert score_answer(scorer, renamed, EXPECT, "stop").label == "other_tool"


def test_every_mark_in_the_table_is_tried() -> None:
    assert {w.opens for w in WRAPPERS} <= {
        w.opens for w in WRAPPERS for text in FORMS.values() if w.opens in text
    }


@pytest.mark.parametrize(
    "text",
    [
        "The weather in Rome is fine.",
        "I would call get_weather.",
        "get_weather",
        # Spoken of, not made.
        f"Sure, here is the call: {PLAIN}",
        f"You would write `{PLAIN}`.",
        f"For example:\n```json\n{PLAIN}\n```\nThat is how it is called.",
        f"Put it in `<tool_call>` marks: {PLAIN}",
        "e.g. get_weather(city='Rome', days=2, now=True) would do",
        '{"name": "get_weather", "arguments": {"city": ',
        "<tool_call>\n{'name': get_weather}\n</tool_call>",
        "get_weather('Rome', 2, True)",
        "get_weather(city=open('x').read(), days=2, now=True)",
        "[get_weather(city='Rome'",
        "[TOOL_CALLS]get_weather",
        "<tool_call>get_weather\n<arg_key>city</arg_key></tool_call>",
    ],
)
def test_what_cannot_be_read_is_invalid(text: str) -> None:
    score = get_scorer("tool_call").score(text, EXPECT, "stop")
    assert (score.value, score.invalid, score.label) == (0.0, True, "unparseable")


@pytest.mark.parametrize(
    "text",
    ['{"name": "get_weather"}', "3", "[]", '{"name": "get_weather", "arguments": "{"}', '{"command=ls": ""}'],
)
def test_what_is_read_and_calls_nothing_is_wrong(text: str) -> None:
    score = get_scorer("tool_call").score(text, EXPECT, "stop")
    assert (score.value, score.invalid) == (0.0, text == "3")


def test_calls_told_apart_from_the_text_go_before_it() -> None:
    scorer: Any = get_scorer("tool_call")
    function = {"name": "get_weather", "arguments": ARGUMENTS}
    parts = json.dumps({"tool_calls": [{"type": "function", "function": function}]})
    assert score_answer(scorer, "I look it up.", EXPECT, "tool_calls", parts).label == "match"
    assert score_answer(scorer, "", EXPECT, "tool_calls", parts).label == "match"
    for other in ("sane", "refusal", "json"):
        expect = {"sane": None, "refusal": "refuse", "json": None}[other]
        score = score_answer(get_scorer(other), "", expect, "tool_calls", parts)
        assert score.label == ("sane" if other == "sane" else "only tool calls")
        assert score.invalid == (other != "sane")


def test_several_calls_are_compared_in_any_order() -> None:
    scorer = get_scorer("tool_call")
    both = [EXPECT, {"name": "get_time", "arguments": {}}]
    scorer.check_expect(both)
    time = '<tool_call>\n{"name": "get_time", "arguments": {}}\n</tool_call>'
    turned = f"{time}\n<tool_call>\n{PLAIN}\n</tool_call>"
    assert scorer.score(turned, both).label == "match"
    assert scorer.score(PLAIN, both).label == "fewer_calls"
    assert scorer.score(f"{PLAIN}; {PLAIN}", EXPECT).label == "more_calls"
    assert (
        scorer.score(f"<tool_call>get_time</tool_call><tool_call>{PLAIN}</tool_call>", both).label == "match"
    )


@pytest.mark.parametrize(
    "text",
    [
        f"<tool_call>{PLAIN}</tool_call>\n[TOOL_CALLS]get_weather[ARGS]{ARGUMENTS}",
        f"<function=get_weather>{ARGUMENTS}</function>\n<tool_call>{PLAIN}</tool_call>",
        f"{PLAIN}\n<tool_call>{PLAIN}</tool_call>",
        f"<|python_tag|>{PARAMETERS}<|eom_id|><tool_call>{PLAIN}</tool_call>",
    ],
)
def test_calls_in_two_notations_are_both_made(text: str) -> None:
    scorer = get_scorer("tool_call")
    assert scorer.score(text, EXPECT).label == "more_calls"
    assert scorer.score(text, [EXPECT, EXPECT]).label == "match"
    # One that cannot be read makes the answer unreadable.
    assert scorer.score(f"{text}<|tool_call|>[{{", EXPECT).invalid


@pytest.mark.parametrize(("value", "text"), [("2", "2"), (2, "2"), (None, "null"), ([1, "a"], '[1, "a"]')])
def test_a_value_without_a_type_has_the_one_that_was_asked_for(value: object, text: str) -> None:
    call = f"<tool_call>\n<function=f>\n<parameter=x>\n{text}\n</parameter>\n</function>\n</tool_call>"
    scorer = get_scorer("tool_call")
    assert scorer.score(call, {"name": "f", "arguments": {"x": value}}).label == "match"
    assert scorer.score(call, {"name": "f", "arguments": {"x": 7}}).label == "other_arguments"


def test_text_of_a_model_is_never_run() -> None:
    for text in (
        "[__import__('os').system(x='id')]",
        "f(x=[y for y in z])",
        "f(x=lambda: 1)",
        "f(**{'a': 1})",
    ):
        if text.startswith("["):
            assert read_calls(text)[0].arguments == {"x": "id"}
        else:
            assert get_scorer("tool_call").score(text, EXPECT).invalid
