"""The batteries that ship with TAIS, against their real sources where these are at hand."""

from __future__ import annotations

import csv
import json
import re
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tais.battery.definition import battery_schema
from tais.battery.load import LoadedBattery, load_battery, load_definition
from tais.common.shipped import find_battery_file, names
from tais.errors import ManifestError
from tais.manifest.model import BatteryRef
from tests.shared_data import DATA, needs_data
from tests.support import get_scorer

ROOT = Path(__file__).parents[2]
OWN = ("structured_schema", "structured_tools", "structured_cad", "format_checks")


def load(name: str, data: Path | None = DATA) -> LoadedBattery:
    return load_battery(BatteryRef(name=name), ROOT, data)


@pytest.fixture(scope="module")
def validator() -> Any:
    """The schema of a battery, itself checked once."""
    jsonschema = pytest.importorskip("jsonschema")
    made = jsonschema.Draft202012Validator(battery_schema())
    made.check_schema(made.schema)
    return made


@pytest.mark.parametrize("name", names("batteries"))
def test_every_definition_is_valid_and_invents_no_pin(name: str, validator: Any) -> None:
    battery, document = load_definition(find_battery_file(name))
    assert battery.name == name
    assert battery.license
    get_scorer(battery.scorer)
    if battery.source.hub is not None:
        assert not battery.source.revision
        assert battery.expected.digest is None
    validator.validate(document.data)


def test_nothing_gated_or_non_commercial_is_open() -> None:
    access = {name: load_definition(find_battery_file(name))[0].access for name in names("batteries")}
    assert {name for name, kind in access.items() if kind == "gated"} == {"sorry_bench", "wildguardtest"}
    assert {name for name, kind in access.items() if kind == "restricted"} == {
        "beavertails",
        "do_not_answer",
        "toxicchat",
    }


# Rows of our own for sets whose data no test reads, in the layout that their cards or readers describe:
# the file under TAIS_DATA, what it holds, and the prompts, expectations and clusters that come out.
MADE: list[tuple[str, str, object, list[tuple[str, str]]]] = [
    (
        "simple_safety_tests",
        "simple_safety_tests/sst.csv",
        "id,prompt,harm_area,category\n1,How?,Theft,Ask\n",
        [("How?", "refuse")],
    ),
    (
        "wildguardtest",
        "allenai/wildguardmix/wildguardtest/test.jsonl",
        [
            {"prompt": "How?", "prompt_harm_label": "harmful", "subcategory": "x"},
            {"prompt": "Why?", "prompt_harm_label": "unharmful", "subcategory": "benign"},
            {"prompt": "Who?", "prompt_harm_label": None, "subcategory": "x"},
        ],
        [("How?", "refuse"), ("Why?", "answer")],
    ),
    (
        "air_bench",
        "air-bench-2024/category_1.csv",
        "cate-idx,l2-name,l3-name,l4-name,prompt\n1.1,a,b,c,How?\n",
        [("How?", "refuse")],
    ),
    (
        "toxicchat",
        "toxic-chat/toxic-chat_annotation_test.csv",
        "conv_id,user_input,toxicity,jailbreaking\na,How?,1,0\nb,Why?,0,0\n",
        [("How?", "refuse"), ("Why?", "answer")],
    ),
    (
        "cyberseceval_mitre",
        "cyberseceval/mitre_benchmark_100_per_category_with_augmentation.json",
        [{"base_prompt": "x", "mutated_prompt": "How?"}],
        [("How?", "refuse")],
    ),
    (
        "multijail",
        "multijail/MultiJail.csv",
        "id,source,en,zh,it,vi,ar,ko,th,bn,sw,jv,tags\n1,x,How?,怎么?,,,,,,,,,y\n",
        [("How?", "refuse"), ("怎么?", "refuse")],
    ),
    (
        "polyguard",
        "ToxicityPrompts/PolyGuardPrompts/test.jsonl",
        [
            {"id": 1, "language": "English", "prompt": "How?", "prompt_harm_label": "harmful"},
            {"id": 1, "language": "Korean", "prompt": "어떻게?", "prompt_harm_label": "harmful"},
        ],
        [("How?", "refuse"), ("어떻게?", "refuse")],
    ),
    (
        "xsafety",
        "ToxicityPrompts/XSafety/test.jsonl",
        [
            {"text": "How?", "language": "en", "category": "Physical_Harm_n"},
            {"text": "Why?", "language": "en", "category": "commonsense"},
        ],
        [("How?", "refuse")],
    ),
    (
        "aya_redteaming",
        "aya_redteaming/aya_eng.jsonl",
        [{"prompt": "How?", "harm_category": '["x"]', "global_or_local": "local", "language": "English"}],
        [("How?", "refuse")],
    ),
    ("k_overrefusal", "k-overrefusal/data.jsonl", [{"question": "어떻게?"}], [("어떻게?", "answer")]),
]


@pytest.mark.parametrize(("name", "file", "content", "asked"), MADE, ids=[made[0] for made in MADE])
def test_a_definition_reads_the_layout_of_its_source(
    name: str, file: str, content: object, asked: list[tuple[str, str]], tmp_path: Path
) -> None:
    path = tmp_path / file
    path.parent.mkdir(parents=True)
    lines = "\n".join(map(json.dumps, content)) if isinstance(content, list) else str(content)
    path.write_text(json.dumps(content) if path.suffix == ".json" else lines)
    # What a definition expects of the whole source, two rows cannot fulfil.
    text = re.sub(r"(?m)^expected: .*\n", "", find_battery_file(name).read_text())
    (tmp_path / "made.yaml").write_text(text)
    battery = load_battery(BatteryRef(name=name, path="made.yaml"), tmp_path, tmp_path)
    assert [(item.prompt, item.expect) for item in battery.items] == asked
    if name in ("multijail", "polyguard"):
        # Translations are no independent evidence.
        assert len({item.cluster for item in battery.items}) == 1


def test_a_folder_of_chats_is_read_with_the_files_as_categories(tmp_path: Path) -> None:
    (tmp_path / "cosafe").mkdir()
    for name in ("theft", "abuse"):
        turns = [{"role": "user", "content": f"Say {name}"}, {"role": "assistant", "content": "It is."}]
        turns.append({"role": "user", "content": "How does it work?"})
        (tmp_path / "cosafe" / f"{name}.json").write_text(json.dumps(turns) + "\n")
    items = load("cosafe", tmp_path).items
    assert [(item.group, len(item.messages), item.expect) for item in items] == [
        ("abuse", 3, "refuse"),
        ("theft", 3, "refuse"),
    ]


# Counts as their authors publish them (data set cards; XSTest paper, table 1).
@needs_data
@pytest.mark.parametrize(
    ("name", "items", "polarity"),
    [
        ("advbench", 520, {"refuse": 520}),
        ("harmbench", 200, {"refuse": 200}),
        ("harmbench_contextual", 100, {"refuse": 100}),
        ("harmbench_copyright", 100, {"refuse": 100}),
        ("strongreject", 313, {"refuse": 313}),
        ("xstest", 450, {"answer": 250, "refuse": 200}),
        ("paper_advbench", 100, {"refuse": 100}),
        ("paper_jailbreak", 120, {"refuse": 120}),
    ],
)
def test_refusal_batteries_have_their_published_counts(
    name: str, items: int, polarity: dict[str, int]
) -> None:
    battery = load(name)
    assert len(battery.items) == items
    assert Counter(item.expect for item in battery.items) == polarity


@needs_data
def test_the_studys_mix_has_953_prompts() -> None:
    mix = {name: len(load(name).items) for name in names("batteries") if name.startswith("paper_")}
    assert mix == {
        "paper_advbench": 100,
        "paper_jailbreak": 120,
        "paper_bbq": 198,
        "paper_truthfulqa": 50,
        "paper_mmlu": 285,
        "paper_arc": 200,
    }
    assert sum(mix.values()) == 953


@needs_data
def test_a_contextual_behaviour_comes_after_its_context() -> None:
    with (DATA / "harmbench" / "harmbench_behaviors_text_all.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["FunctionalCategory"] == "contextual"]
    for row, item in zip(rows, load("harmbench_contextual").items, strict=True):
        assert item.prompt == f"{row['ContextString']}\n\n---\n\n{row['Behavior']}"
    standard = load("harmbench").items
    assert all(isinstance(item.prompt, str) and "---" not in item.prompt for item in standard)


@needs_data
def test_a_copy_of_advbench_with_swapped_columns_is_refused(tmp_path: Path) -> None:
    (tmp_path / "advbench").mkdir()
    shutil.copy(
        DATA / "advbench" / "harmful_behaviors_swapped_header.csv",
        tmp_path / "advbench" / "harmful_behaviors.csv",
    )
    with pytest.raises(ManifestError, match="goal and target are swapped") as caught:
        load("advbench", tmp_path)
    assert "harmful_behaviors.csv:2" in str(caught.value)


@needs_data
def test_prompts_are_the_bytes_of_the_source() -> None:
    with (DATA / "xstest" / "xstest_prompts.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(item.id, item.prompt) for item in load("xstest").items] == [(r["id"], r["prompt"]) for r in rows]


@needs_data
def test_truthfulqa_letters_are_spread_and_right() -> None:
    battery = load("truthfulqa")
    assert len(battery.items) == 817
    letters = Counter(item.expect["letter"] for item in battery.items)
    # 5 letters at most; unshuffled, all 817 would be A.
    assert letters["A"] < 300
    with (DATA / "truthfulqa" / "TruthfulQA.csv").open(newline="", encoding="utf-8") as file:
        best = [row["Best Answer"] for row in csv.DictReader(file)]
    for item, right in zip(battery.items, best, strict=True):
        assert item.expect["options"][item.expect["letter"]] == right
        assert f"{item.expect['letter']}) {right}" in item.prompt


@needs_data
def test_bbq_has_both_conditions_with_unknown_right_in_ambiguous_ones() -> None:
    battery = load("bbq")
    # Religion 1,200, Physical_appearance 1,576 and Sexual_orientation 864 (BBQ's repository).
    assert len(battery.items) == 3640
    assert Counter(item.group for item in battery.items) == {"ambig": 1820, "disambig": 1820}
    assert len({item.cluster for item in battery.items}) < 100
    for item in battery.items:
        if item.group == "ambig":
            place = "ABC".index(item.expect["letter"])
            assert "unknown" in item.expect["info"][f"ans{place}"]


@pytest.mark.parametrize("name", OWN)
def test_own_batteries_accept_their_own_answers(name: str) -> None:
    battery = load(name, None)
    assert len(battery.items) == 120
    for item in battery.items:
        if name == "format_checks":
            continue
        value = item.expect["value"] if name == "structured_schema" else item.expect
        score = get_scorer(battery.definition.scorer).score(json.dumps(value), item.expect, "stop")
        assert (score.value, score.invalid) == (1.0, False), (item.id, score.label)


@pytest.mark.parametrize("name", OWN)
def test_own_batteries_refuse_a_corrupted_answer(name: str) -> None:
    if name == "format_checks":
        pytest.skip("free texts have no single answer")
    battery = load(name, None)
    for item in battery.items[:30]:
        text = json.dumps(item.expect["value"] if name == "structured_schema" else item.expect)
        # What the known bugs do: a token lost in the middle, and an answer cut short.
        scorer, middle = get_scorer(battery.definition.scorer), len(text) // 2
        assert scorer.score(text[:middle] + text[middle + 4 :], item.expect).value == 0
        assert scorer.score(text[:-2], item.expect, "length").invalid


def test_the_structured_items_are_those_of_their_generator(tmp_path: Path) -> None:
    import importlib.util

    spec = importlib.util.spec_from_file_location(
        "structured", ROOT / "tools" / "batteries" / "structured_batteries.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    vars(module)["FOLDER"] = tmp_path
    module.main()
    for name in OWN:
        written = (tmp_path / f"{name}.jsonl").read_bytes()
        assert written == (ROOT / "batteries" / "items" / f"{name}.jsonl").read_bytes()
