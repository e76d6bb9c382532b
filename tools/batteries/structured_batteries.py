"""Writes the batteries whose answers a program can check: JSON, tool calls, CAD programs, formats.

Deterministic: ``python tools/batteries/structured_batteries.py`` rewrites
``batteries/items/structured_*.jsonl`` and ``format_checks.jsonl``. Prompts carry everything that the answer
needs, so that a wrong answer is a fault of the model or of the serving stack, not of missing knowledge.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

ITEMS: Final = 120
SEED: Final = 20260701
FOLDER: Final = Path(__file__).resolve().parents[2] / "batteries" / "items"

NAMES: Final = (
    "Ada",
    "Bruno",
    "Chiara",
    "Dilan",
    "Esra",
    "Femi",
    "Greta",
    "Hiro",
    "Ines",
    "Jonas",
    "Kaya",
    "Lior",
)
CITIES: Final = ("Aarhus", "Bilbao", "Cork", "Dresden", "Espoo", "Faro", "Ghent", "Haifa", "Izmir", "Jaipur")
GOODS: Final = (
    "bolt",
    "cable",
    "drill",
    "filter",
    "gasket",
    "hinge",
    "lamp",
    "motor",
    "nozzle",
    "pump",
    "valve",
)
STATES: Final = ("open", "paid", "shipped", "returned")

Row = dict[str, Any]


def order(rng: random.Random, number: int) -> Row:
    """Return an order with nested lines, to be copied into JSON under a schema."""
    lines = [
        {"item": item, "count": rng.randint(1, 40), "price": rng.randint(100, 9999) / 100}
        for item in rng.sample(GOODS, rng.randint(1, 4))
    ]
    value = {
        "customer": rng.choice(NAMES),
        "city": rng.choice(CITIES),
        "state": rng.choice(STATES),
        "express": rng.random() < 0.5,
        "lines": lines,
    }
    told = "; ".join(f"{line['count']} x {line['item']} at {line['price']:.2f}" for line in lines)
    prompt = (
        "Copy this order into JSON. Answer with the JSON object only.\n"
        f"Schema: {json.dumps(ORDER_SCHEMA, separators=(',', ':'))}\n"
        f"Order: {value['customer']} in {value['city']} ordered {told}. The order is {value['state']}, "
        f"delivery is {'express' if value['express'] else 'normal'}."
    )
    expect = {"schema": ORDER_SCHEMA, "value": value}
    return {"id": f"structured-schema-{number:03d}", "prompt": prompt, "expect": expect}


ORDER_SCHEMA: Final[Row] = {
    "type": "object",
    "properties": {
        "customer": {"type": "string"},
        "city": {"type": "string"},
        "state": {"enum": list(STATES)},
        "express": {"type": "boolean"},
        "lines": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "properties": {
                    "item": {"type": "string"},
                    "count": {"type": "integer", "minimum": 1},
                    "price": {"type": "number", "minimum": 0},
                },
                "required": ["item", "count", "price"],
                "additionalProperties": False,
            },
        },
    },
    "required": ["customer", "city", "state", "express", "lines"],
    "additionalProperties": False,
}

TOOLS: Final = (
    {"name": "set_alarm", "arguments": {"hour": "integer", "minute": "integer", "label": "string"}},
    {"name": "convert", "arguments": {"amount": "number", "from": "string", "to": "string"}},
    {
        "name": "move_stock",
        "arguments": {"item": "string", "count": "integer", "shelves": "array of integers"},
    },
)


def tool_call(rng: random.Random, number: int) -> Row:
    """Return a request that one of three tools fulfils, with the call that does."""
    tool = TOOLS[number % len(TOOLS)]["name"]
    if tool == "set_alarm":
        hour, minute, name = rng.randint(0, 23), rng.randint(0, 59), rng.choice(NAMES)
        ask = f"Wake me at {hour:02d}:{minute:02d} to call {name}; label it 'call {name}'."
        arguments: Row = {"hour": hour, "minute": minute, "label": f"call {name}"}
    elif tool == "convert":
        amount, (source, target) = (
            rng.randint(10, 99999) / 10,
            rng.sample(("EUR", "JPY", "GBP", "TRY", "SEK"), 2),
        )
        ask = f"How much is {amount} {source} in {target}?"
        arguments = {"amount": amount, "from": source, "to": target}
    else:
        item, count, shelves = (
            rng.choice(GOODS),
            rng.randint(2, 90),
            rng.sample(range(1, 60), rng.randint(1, 4)),
        )
        ask = f"Bring {count} pieces of {item} to shelves {', '.join(map(str, shelves))}, in this order."
        arguments = {"item": item, "count": count, "shelves": shelves}
    prompt = (
        "Call one of these tools. Answer with one JSON object that has name and arguments, nothing else.\n"
        f"Tools: {json.dumps(TOOLS, separators=(',', ':'))}\n"
        f"Request: {ask}"
    )
    expect = {"name": tool, "arguments": arguments}
    return {"id": f"structured-tools-{number:03d}", "prompt": prompt, "expect": expect}


LANGUAGE: Final = (
    'A part is written {"part": [feature, ...]}. A feature is {"sketch": [shape, ...], '
    '"extrude": {"from": z, "to": z}, "mode": "add" or "cut"}. A shape is one of {"rect": {"x", "y", '
    '"width", "height"}} with x and y at its centre, {"circle": {"x", "y", "radius"}}, '
    '{"polygon": {"points": [[x, y], ...]}}. All numbers are millimetres.'
)


def cad_program(rng: random.Random, number: int) -> Row:
    """Return a plate with holes, slots or a boss, described in words, with its program."""
    width, depth, thick = rng.randint(4, 12) * 10, rng.randint(3, 8) * 10, rng.randint(2, 9) * 2
    base, said = _base(number, width, depth)
    features = [{"sketch": [base], "extrude": {"from": 0, "to": thick}, "mode": "add"}]
    words = [f"Start with {said}, extruded from 0 to {thick}."]
    for step in range(rng.randint(1, 3)):
        x, y = rng.randint(-width // 4, width // 4), rng.randint(-depth // 4, depth // 4)
        radius = rng.randint(3, 6)
        if step == 0:
            top = thick + rng.randint(4, 12)
            shape = {"circle": {"x": x, "y": y, "radius": radius + 3}}
            features.append({"sketch": [shape], "extrude": {"from": thick, "to": top}, "mode": "add"})
            words.append(f"Add a circle of radius {radius + 3} at {x}, {y}, extruded from {thick} to {top}.")
        elif step == 1:
            shape = {"circle": {"x": -x, "y": -y, "radius": radius}}
            features.append({"sketch": [shape], "extrude": {"from": 0, "to": thick}, "mode": "cut"})
            words.append(f"Cut a circle of radius {radius} at {-x}, {-y} from 0 to {thick}.")
        else:
            shape = {"rect": {"x": y, "y": x // 2, "width": 2 * radius, "height": 4 * radius}}
            features.append({"sketch": [shape], "extrude": {"from": 0, "to": thick}, "mode": "cut"})
            size = f"width {2 * radius} and height {4 * radius}"
            words.append(f"Cut a rect of {size} at {y}, {x // 2} from 0 to {thick}.")
    prompt = f"{LANGUAGE}\nWrite this part. Answer with the JSON only.\n{' '.join(words)}"
    return {"id": f"structured-cad-{number:03d}", "prompt": prompt, "expect": {"part": features}}


def _base(number: int, width: int, depth: int) -> tuple[Row, str]:
    if number % 3 == 0:
        return {"circle": {"x": 0, "y": 0, "radius": width // 2}}, f"a circle of radius {width // 2} at 0, 0"
    if number % 3 == 1:
        points = [[-width // 2, -depth // 2], [width // 2, -depth // 2], [0, depth // 2]]
        listed = ", ".join(f"({x}, {y})" for x, y in points)
        return {"polygon": {"points": points}}, f"a polygon through {listed}"
    rect = {"x": 0, "y": 0, "width": width, "height": depth}
    return {"rect": rect}, f"a rect of width {width} and height {depth} at 0, 0"


TOPICS: Final = (
    "a bicycle",
    "bread",
    "the moon",
    "a river",
    "chess",
    "a lighthouse",
    "tea",
    "snow",
    "a violin",
    "bees",
)


def formatted(rng: random.Random, number: int) -> Row:
    """Return a small writing task with two format instructions that a program can check."""
    topic, k = rng.choice(TOPICS), rng.randint(2, 4)
    word = rng.choice(GOODS)
    shape = (
        (f"in exactly {k} bullet points that start with '- '", {"id": "bullets", "exactly": k}),
        (f"in exactly {k} paragraphs with an empty line between them", {"id": "paragraphs", "exactly": k}),
        (f"in at most {k * 10} words", {"id": "words", "at_most": k * 10}),
        (f"in at least {k * 15} words", {"id": "words", "at_least": k * 15}),
        ("as a JSON object", {"id": "json"}),
    )[number % 5]
    detail = (
        ("Do not use any comma.", {"id": "no_comma"}),
        (f"Use the word '{word}' at least twice.", {"id": "keyword", "word": word, "at_least": 2}),
        ("Use lower-case letters only.", {"id": "lowercase"}),
        ("Write everything in capital letters.", {"id": "uppercase"}),
        (f"Never use the word '{word}'.", {"id": "forbidden_words", "words": [word]}),
        ("Put a title in double angle brackets, such as <<title>>, somewhere.", {"id": "title"}),
    )[rng.randrange(6)]
    if shape[1]["id"] == "json" and detail[1]["id"] == "no_comma":
        detail = ("Never use the word 'very'.", {"id": "forbidden_words", "words": ["very"]})
    prompt = f"Write about {topic} {shape[0]}. {detail[0]}"
    return {"id": f"format-{number:03d}", "prompt": prompt, "expect": [shape[1], detail[1]]}


def rows(make: Any, seed: int) -> Iterator[Row]:
    """Yield items with distinct prompts."""
    rng = random.Random(seed)
    seen: set[str] = set()
    while len(seen) < ITEMS:
        row = make(rng, len(seen) + 1)
        if row["prompt"] not in seen:
            seen.add(row["prompt"])
            yield row


def main() -> None:
    """Write the item files."""
    makers = {
        "structured_schema": order,
        "structured_tools": tool_call,
        "structured_cad": cad_program,
        "format_checks": formatted,
    }
    for offset, (name, make) in enumerate(makers.items()):
        lines = [json.dumps(row) + "\n" for row in rows(make, SEED + offset)]
        (FOLDER / f"{name}.jsonl").write_text("".join(lines))


if __name__ == "__main__":
    main()
