"""A client of servers that cannot be trusted: no sample is lost or doubled, and each error has a remedy."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pyarrow.parquet as pq
import pytest

from tais.engines.base import EngineRefusal, ServerFailure
from tais.engines.openai.answers import read_answer, read_echo, read_prompt_scores
from tais.engines.openai.dialect import longest, read_counters
from tais.engines.openai.engine import OpenaiEngine
from tais.engines.openai.http import Malformed, _retry_after, api_root
from tais.manifest.model import Arm, Sampling
from tais.records import Counters, Message, Request, Sample, SampleKey
from tests.conftest import Screen, Tais
from tests.engines.hostile import FAULTS, KEY, MODEL, Hostile, answer_to, good, hostile, number_in

# The whole file takes more than the unit tests may; CI runs it all the same.
pytestmark = pytest.mark.slow

QUICK = {"backoff_seconds": 0.01, "timeout_seconds": 20.0, "concurrency": 6}
GREEDY = Sampling(max_tokens=8)


def arm(server: Hostile | str, **options: Any) -> Arm:
    url = server if isinstance(server, str) else server.url
    return Arm(name="a", engine="openai", model=MODEL, engine_args={"base_url": url, **QUICK, **options})


def patience(fault: str) -> dict[str, float]:
    """Short where the fault is that nothing comes to its end."""
    return {"timeout_seconds": 1.5} if fault.startswith(("drips", "never")) else {}


def requests(n: int, repeats: int = 1) -> list[Request]:
    return [
        Request(SampleKey("b", f"m-{i}", repeat), (Message("user", f"do thing {i}"),), seed=i * 10 + repeat)
        for i in range(n)
        for repeat in range(repeats)
    ]


@contextmanager
def started(arm: Arm) -> Iterator[OpenaiEngine]:
    engine = OpenaiEngine()
    engine.start(arm)
    try:
        yield engine
    finally:
        engine.close()


def answers(engine: OpenaiEngine, asked: list[Request], sampling: Sampling = GREEDY) -> list[Sample]:
    engine.check(asked, sampling)
    return [sample for sample in engine.generate(asked, sampling) if sample is not None]


def assert_whole(found: list[Sample], asked: list[Request]) -> None:
    """Each request has its own answer, once."""
    assert sorted(sample.key for sample in found) == sorted(request.key for request in asked)
    prompts = {request.key: request.messages[-1].content for request in asked}
    for sample in found:
        assert (list(sample.token_ids or ()), sample.text) == answer_to(prompts[sample.key])


@pytest.mark.parametrize("fault", FAULTS)
def test_no_sample_is_lost_or_doubled_when_the_server(fault: str) -> None:
    asked = requests(7)
    with hostile(fault) as server, started(arm(server, **patience(fault))) as engine:
        assert_whole(answers(engine, asked), asked)
        # Asked again once each, no more.
        assert set(server.asked.values()) == {2}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_server_that_never_gets_better_ends_in_one_line(fault: str) -> None:
    impatient = {"retries": 2, **patience(fault)}
    with hostile(fault, times=99) as server, started(arm(server, **impatient)) as engine:
        with pytest.raises(ServerFailure) as raised:
            answers(engine, requests(1))
        assert server.asked.total() == 3
    message = str(raised.value)
    assert "was asked 3 times and gave no usable answer: " in message
    assert "\n" not in message
    assert len(message) < 450


def test_answers_that_come_in_another_order_stay_with_their_questions() -> None:
    asked = requests(12, repeats=2)
    with (
        hostile(delay=lambda body: 0.04 * (5 - number_in(body) % 6)) as server,
        started(arm(server)) as engine,
    ):
        found = answers(engine, asked)
    assert_whole(found, asked)
    assert [sample.key for sample in found] != [request.key for request in asked]


def test_an_answer_to_other_tokens_than_were_sent_is_no_answer() -> None:
    def behave(handler: Any, body: dict[str, Any], before: int) -> None:
        value = good(body, handler.tag)
        # Two requests crossed: the ids of the prompt give it away.
        value["choices"][0]["prompt_token_ids"] = body["prompt"] if before else [9, 9]
        handler.send(value)

    with hostile() as server, started(arm(server, endpoint="completions")) as engine:
        server.behave = behave
        (sample,) = answers(engine, requests(1))
        assert set(server.asked.values()) == {2}
    assert sample.prompt_tokens == 3


def test_no_more_requests_at_once_than_said() -> None:
    with hostile(delay=lambda _: 0.02) as server, started(arm(server, concurrency=3)) as engine:
        answers(engine, requests(20))
    assert server.most_under_way == 3


def test_requests_keep_to_the_rate() -> None:
    with hostile() as server, started(arm(server, requests_per_second=50.0)) as engine:
        answers(engine, requests(10))
    # Generation alone; ten requests lie nine fiftieths of a second apart at least.
    assert server.times[-1] - server.times[0] >= 9 / 50 - 0.02


def test_a_pause_that_the_server_asks_for_holds_for_all() -> None:
    paused: list[float] = []

    def behave(handler: Any, body: dict[str, Any], before: int) -> None:
        if not paused:
            paused.append(time.monotonic())
            handler.send({"error": {"message": "slow down"}}, 429, retry_after="0.3")
        else:
            handler.send({"id": "x", **_right(body)})

    with hostile() as server, started(arm(server, concurrency=1)) as engine:
        server.behave = behave
        assert len(answers(engine, requests(4))) == 4
        assert server.times[1] - paused[0] >= 0.3


def _right(body: dict[str, Any]) -> dict[str, Any]:
    ids, text = answer_to(body["messages"][-1]["content"])
    choice = {"index": 0, "finish_reason": "stop", "token_ids": ids, "message": {"content": text}}
    return {"choices": [choice], "model": MODEL}


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7.0),
        ("0.25", 0.25),
        ("-3", 0.0),
        ("soon", 0.0),
        ("nan", 0.0),
        (None, 0.0),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0),
    ],
)
def test_retry_after_in_seconds_or_as_a_date(value: str | None, seconds: float) -> None:
    assert _retry_after(value) == seconds


def test_a_day_of_pause_ends_the_arm() -> None:
    def behave(handler: Any, body: dict[str, Any], before: int) -> None:
        handler.send({"error": {"message": "quota"}}, 429, retry_after="86400")

    with hostile() as server, started(arm(server)) as engine:
        server.behave = behave
        with pytest.raises(ServerFailure, match="pause of 86400 s"):
            answers(engine, requests(1))


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (400, "refuses the request: HTTP 400: no such"),
        (401, "API key than OPENAI_API_KEY"),
        (302, "HTTP 302"),
    ],
)
def test_what_the_server_rejects_is_not_sent_again(status: int, said: str) -> None:
    def behave(handler: Any, body: dict[str, Any], before: int) -> None:
        handler.send({"error": {"message": "no such\nparameter"}}, status, location="http://127.0.0.1:1/")

    with hostile() as server, started(arm(server)) as engine:
        server.behave = behave
        with pytest.raises(EngineRefusal, match=said):
            answers(engine, requests(1))
        assert server.asked.total() == 1


def test_a_key_that_the_server_repeats_is_in_no_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)

    def behave(handler: Any, body: dict[str, Any], before: int) -> None:
        handler.send({"error": {"message": f"Incorrect API key provided: {KEY}"}}, 401)

    with hostile() as server, started(arm(server)) as engine:
        server.behave = behave
        with pytest.raises(EngineRefusal) as raised:
            answers(engine, requests(1))
        assert server.keys == {f"Bearer {KEY}"}
    assert KEY not in str(raised.value)
    assert "***" in str(raised.value)


def test_another_model_in_the_middle_ends_the_arm() -> None:
    def behave(handler: Any, body: dict[str, Any], before: int) -> None:
        other = number_in(json.dumps(body)) == 3
        handler.send({"id": "x", **_right(body), "model": "served/other" if other else MODEL})

    with hostile() as server, started(arm(server, concurrency=1)) as engine:
        server.behave = behave
        with pytest.raises(EngineRefusal, match="these answers are not one arm's"):
            answers(engine, requests(6))


def test_what_a_request_says() -> None:
    sampling = Sampling(temperature=0.7, top_p=0.9, max_tokens=80, stop=("END",))
    with hostile() as server, started(arm(server, extra_body={"session_id": "s"})) as engine:
        answers(engine, requests(1), sampling)
        vllm = server.bodies[-1]
    # The server takes 64 tokens and the prompt has 3.
    assert vllm["max_tokens"] == 61
    assert vllm["repetition_penalty"] == 1.0
    assert (vllm["seed"], vllm["stop"], vllm["session_id"]) == (0, ["END"], "s")
    assert vllm["return_token_ids"] is True
    with (
        hostile(owner="someone") as server,
        started(arm(server, max_tokens_name="max_completion_tokens")) as engine,
    ):
        answers(engine, requests(1), GREEDY)
        other = server.bodies[-1]
    # A server that is not known gets nothing that OpenAI's own would refuse.
    assert other.keys() == {"model", "messages", "temperature", "top_p", "max_completion_tokens"}


def test_settings_go_to_a_server_under_their_own_names_and_an_items_over_them() -> None:
    said = Sampling(min_tokens=3, logit_bias={"5": -2.0}, presence_penalty=0.5, max_tokens=64)
    own = [replace(request, own='{"min_tokens": 9}') for request in requests(1)]
    with hostile() as server, started(arm(server)) as engine:
        engine.check(own, said)
        answers(engine, own, said)
        (body,) = server.bodies
    assert (body["min_tokens"], body["logit_bias"], body["presence_penalty"]) == (9, {"5": -2.0}, 0.5)
    assert "bad_words" not in body


def test_a_setting_that_a_server_may_not_know_is_refused_by_name() -> None:
    with hostile(owner="someone") as server, started(arm(server)) as engine:
        engine.check(requests(1), Sampling(frequency_penalty=1))
        with pytest.raises(EngineRefusal, match="not known to take min_tokens"):
            engine.check(requests(1), Sampling(min_tokens=2))


def test_a_llama_cpp_server_is_asked_with_neutral_settings() -> None:
    with hostile(owner="llamacpp") as server, started(arm(server)) as engine:
        answers(engine, requests(1), Sampling(temperature=0.7, max_tokens=8))
        body = server.bodies[-1]
    # Its own defaults are 0.05 and 40.
    assert (body["min_p"], body["top_k"], body["repeat_penalty"]) == (0.0, 0, 1.0)
    # Ids of tokens come with their scores.
    assert (body["logprobs"], body["top_logprobs"]) == (True, 3)
    assert "return_token_ids" not in body


@pytest.mark.parametrize(
    ("model", "tokens"),
    [
        ({"max_model_len": 64}, 64),
        ({"meta": {"n_ctx": 512}}, 512),
        ({"meta": None}, None),
        ({"max_model_len": "64"}, None),
        ({}, None),
    ],
)
def test_the_longest_sequence_is_read_where_a_server_tells(model: dict[str, Any], tokens: int | None) -> None:
    assert longest(model) == tokens


def test_a_prompt_without_room_is_refused_before_the_first_token() -> None:
    with hostile() as server, started(arm(server)) as engine:
        engine.limit = 3
        with pytest.raises(EngineRefusal, match="'m-0' of battery 'b' has 3 tokens, the server takes 3"):
            engine.check(requests(1), GREEDY)


def test_a_model_that_the_server_does_not_know_is_refused() -> None:
    with hostile() as server:
        other = arm(server).model_copy(update={"model": "served/nodel"})
        with pytest.raises(EngineRefusal, match="it knows served/model"):
            OpenaiEngine().start(other)


def test_nobody_at_the_address_is_said_so() -> None:
    with pytest.raises(ServerFailure, match="/v1/models was asked 2 times"):
        OpenaiEngine().start(arm("http://127.0.0.1:9", retries=1))


@pytest.mark.parametrize("url", ["http://h:1", "http://h:1/", "http://h:1/v1", "http://h:1/v1/"])
def test_an_address_with_or_without_v1_is_the_same(url: str) -> None:
    assert api_root(url) == "http://h:1"


def manifest(screen: Screen, server: Hostile | str, **options: Any) -> None:
    served = dict(arm(server, **options).model_dump(exclude_none=True, exclude={"name"}))
    screen.data["arms"] = {"a": served, "b": {"extends": "a", "order": "shuffled"}}
    screen.data["contrasts"] = [{"reference": "a", "candidate": "b"}]
    screen.items(12)
    screen.write()


def samples(screen: Screen, name: str) -> list[dict[str, Any]]:
    parts = sorted((screen.run_dirs()[-1] / "arms" / name).glob("part-*.parquet"))
    return [row for part in parts for row in pq.read_table(part).to_pylist()]


def test_a_run_on_a_server_that_fails_now_and_then(
    screen: Screen, tais: Tais, monkeypatch: pytest.MonkeyPatch
) -> None:
    with hostile("writes_half_an_answer") as server:
        manifest(screen, server)
        done = tais("run", screen.path, "--out", screen.out, OPENAI_API_KEY=KEY)
    assert done.returncode == 3, done.stderr
    assert screen.report()["contrasts"][0]["identity"]["rate"] == 1.0
    for name in ("a", "b"):
        assert sorted(row["item_id"] for row in samples(screen, name)) == [f"m-{i:03d}" for i in range(12)]
    assert server.keys == {f"Bearer {KEY}"}
    kept = [path for path in screen.out.rglob("*") if path.is_file()]
    assert kept
    assert not [path for path in kept if KEY.encode() in path.read_bytes()]


def test_what_was_answered_before_the_server_died_is_kept_and_resumed(screen: Screen, tais: Tais) -> None:
    def dying(handler: Any, body: dict[str, Any], before: int) -> None:
        if server.asked.total() > 5:
            handler.drop()
        else:
            handler.send({"id": "x", **_right(body)})

    with hostile() as server:
        well = server.behave
        server.behave = dying
        manifest(screen, server, retries=1, concurrency=1)
        done = tais("run", screen.path, "--out", screen.out)
        assert done.returncode == 4
        last = done.stderr.splitlines()[-1]
        assert last.startswith("tais: error: arm 'a': ")
        assert last.endswith("See that the server is up and answers, then continue with --resume")
        assert len(samples(screen, "a")) == 5
        server.behave = well
        assert tais("run", screen.path, "--out", screen.out, "--resume").returncode == 3
    assert len({row["item_id"] for row in samples(screen, "a")}) == len(samples(screen, "a")) == 12


@pytest.mark.parametrize(
    ("options", "key", "said"),
    [
        ({"base_ulr": "http://h"}, "base_ulr", "no option named 'base_ulr'"),
        ({}, "engine_args", "needs the address of its server"),
        ({"base_url": "http://h", "serve": {}}, "engine_args", "two servers"),
        ({"base_url": "ftp://h"}, "base_url", "is no http address"),
        ({"base_url": "http://u:p@h"}, "base_url", "holds a password"),
        ({"base_url": "http://h:x"}, "base_url", "no address"),
        ({"base_url": "http://h?a=b"}, "base_url", "has no query"),
        ({"base_url": "http://h", "api_key": "sk"}, "api_key", "an API key stands in the environment"),
        ({"base_url": "http://h", "endpoint": "caht"}, "endpoint", "not 'caht'"),
        ({"base_url": "http://h", "extra_body": {"n": 2}}, "extra_body.n", "is said by TAIS itself"),
        ({"serve": {"port": 1}}, "serve.port", "is not an argument of serve"),
        ({"serve": {"trust-remote-code": True}}, "serve.trust-remote-code", "does not do"),
        ({"serve": {"--x y": 1}}, "serve.--x y", "is no argument of a server"),
    ],
)
def test_options_that_cannot_be_are_refused_with_their_line(
    screen: Screen, tais: Tais, options: dict[str, Any], key: str, said: str
) -> None:
    screen.data["arms"]["target"] = {"engine": "openai", "model": "m", "engine_args": options}
    done = tais("run", screen.write(), "--out", screen.out)
    assert done.returncode == 2
    assert said in done.stderr
    assert f"{key} (" in done.stderr
    assert "screen.yaml:" in done.stderr


@pytest.mark.parametrize("setting", [{"dtype": "float16"}, {"revision": "abc"}])
def test_what_a_running_server_has_decided_cannot_stand_on_the_arm(
    screen: Screen, tais: Tais, setting: dict[str, Any]
) -> None:
    served = {"engine": "openai", "model": "m", "engine_args": {"base_url": "http://h"}, **setting}
    screen.data["arms"]["target"] = served
    done = tais("run", screen.write(), "--out", screen.out)
    assert done.returncode == 2
    assert "the server at base_url has its own" in done.stderr


CHOICE = {"index": 0, "finish_reason": "stop", "message": {"content": "hi"}}


@pytest.mark.parametrize(
    ("told", "meant"),
    [("stop", "stop"), ("length", "length"), ("eos_token", "stop"), ("max_tokens", "length"),
     ("content_filter", "content_filter"), (None, "unknown")],
)  # fmt: skip
def test_finish_reasons_of_other_servers(told: str | None, meant: str) -> None:
    answer = read_answer({"choices": [{**CHOICE, "finish_reason": told}]}, chat=True)
    assert answer.reason == meant


def test_best_two_tokens_are_by_score_wherever_the_token_given_stands() -> None:
    # vLLM lists the token given first: here it ranks second.
    top = [("token_id:5", -2.0), ("token_id:9", -0.5), ("token_id:3", -4.0)]
    row = {"token": "token_id:5", "top_logprobs": [{"token": t, "logprob": v} for t, v in top]}
    choice = {**CHOICE, "token_ids": [5], "logprobs": {"content": [row]}}
    answer = read_answer({"choices": [choice]}, chat=True)
    assert (answer.top1, answer.top2, answer.other) == ([-0.5], [-2.0], [9])


LLAMA_ROW = {
    "id": 820,
    "token": "Of",
    "logprob": -0.9,
    "top_logprobs": [
        {"id": 820, "token": "Of", "logprob": -0.9},
        {"id": 833, "token": "Ha", "logprob": -1.5},
    ],
}


def test_llama_cpp_tells_token_ids_with_its_scores() -> None:
    value = {"choices": [{"text": "Of", "finish_reason": "stop", "logprobs": {"content": [LLAMA_ROW]}}]}
    answer = read_answer(value, chat=False)
    assert (answer.token_ids, answer.top1, answer.top2, answer.other) == ([820], [-0.9], [-1.5], [833])
    # Scores of an answer that was drafted are zeros.
    drafted = read_answer({**value, "timings": {"draft_n": 4}}, chat=False)
    assert (drafted.token_ids, drafted.top1, drafted.other) == ([820], None, None)
    assert read_answer({**value, "timings": 3}, chat=False).top1 == [-0.9]
    damaged = {"content": [{**LLAMA_ROW, "id": "820"}]}
    with pytest.raises(Malformed, match="no whole numbers"):
        read_answer({"choices": [{"text": "Of", "logprobs": damaged}]}, chat=False)


@pytest.mark.parametrize(("prefix", "labels"), [("vllm", '{engine="0"}'), ("llamacpp", "")])
def test_drafts_are_counted_from_the_metrics_of_either_server(prefix: str, labels: str) -> None:
    totals = {"num_drafts": 3, "num_draft_tokens": 12, "num_accepted_tokens": 7.0}
    lines = [f"{prefix}:spec_decode_{name}_total{labels} {value}" for name, value in totals.items()]
    lines += [
        f'{prefix}:spec_decode_num_accepted_tokens_per_pos_total{{position="{i}"}} {4 - i}' for i in (0, 1)
    ]
    assert read_counters("\n".join(["# HELP x", *lines])) == Counters(3, 12, 7, (4, 3))
    assert read_counters("other:spec_decode_num_drafts_total 3") is None


def test_prompt_scores_are_those_of_the_tokens_given() -> None:
    rows = [None, {"4": {"logprob": -3.0}, "8": {"logprob": -0.1}}, {"6": {"logprob": -0.2}}]
    value = {"choices": [{"prompt_logprobs": rows}]}
    assert read_prompt_scores(value, [1, 4, 6], 1) == [(-3.0, [(8, -0.1), (4, -3.0)]), (-0.2, [(6, -0.2)])]
    with pytest.raises(Malformed, match="does not score the token 5"):
        read_prompt_scores(value, [1, 5, 6], 1)
    with pytest.raises(Malformed, match="scores no prompt tokens"):
        read_prompt_scores({"choices": [{}]}, [1, 4, 6], 1)


def test_an_echo_gives_scores_even_where_tokens_are_named_by_their_text() -> None:
    logprobs = {
        "tokens": ["<s>", "a", "b", "c"],
        "token_logprobs": [None, -1.0, -0.5, -2.0],
        "top_logprobs": [None, {"x": -0.4, "a": -1.0}, {"b": -0.5}, {"c": -2.0}],
    }
    value = {"choices": [{"logprobs": logprobs}]}
    found = read_echo(value, [0, 11, 12], 1, {"a": 11, "b": 12}.get)
    assert found == [(-1.0, [(-1, -0.4), (11, -1.0)]), (-0.5, [(12, -0.5)])]
    named = {**logprobs, "tokens": ["token_id:0", "token_id:11", "token_id:99", "c"]}
    with pytest.raises(Malformed, match="other tokens than it was given"):
        read_echo({"choices": [{"logprobs": named}]}, [0, 11, 12], 1, lambda _: None)


def prefilled() -> list[Request]:
    (plain,) = requests(1)
    return [replace(plain, messages=(*plain.messages, Message("assistant", "Sure, ")))]


def test_a_vllm_server_is_told_what_its_template_reads_and_which_turn_it_continues() -> None:
    with hostile() as server:
        settings = arm(server).model_copy(update={"chat_template_kwargs": {"enable_thinking": False}})
        with started(settings) as engine:
            answers(engine, [*requests(1), *prefilled()])
    plain, prefill = sorted(server.bodies, key=lambda body: len(body["messages"]))
    for body in (plain, prefill, *server.tokenized):
        assert body["chat_template_kwargs"] == {"enable_thinking": False}
    assert "continue_final_message" not in plain
    # What vLLM's protocol asks for: the two exclude each other. Requests travel side by side, in any order.
    counted = max(server.tokenized, key=lambda body: len(body["messages"]))
    for body in (prefill, counted):
        assert (body["continue_final_message"], body["add_generation_prompt"]) == (True, False)


def test_a_turn_to_continue_is_refused_by_name_where_a_server_may_not() -> None:
    with hostile(owner="someone") as server, started(arm(server)) as engine:
        with pytest.raises(EngineRefusal, match=r"item 'm-0' of battery 'b' ends in an assistant turn"):
            engine.check(prefilled(), GREEDY)
        engine.check(requests(1), GREEDY)


def test_a_turn_that_llama_cpp_says_again_is_no_part_of_the_answer() -> None:
    def behave(handler: Any, body: dict[str, Any], before: int) -> None:
        value = good(body, handler.tag)
        value["choices"][0]["message"]["content"] = "Sure, here it is"
        handler.send(value)

    with hostile(owner="llamacpp") as server, started(arm(server)) as engine:
        server.behave = behave
        (sample,) = answers(engine, prefilled())
    assert sample.text == "here it is"
    assert "continue_final_message" not in server.bodies[0]
