"""``tais battery``: list, show, check, digest, pin and make batteries."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tais.battery.definition import battery_schema
from tais.battery.serving_edge import EdgeShape, load_tokenizer, write_edge_battery
from tais.cli.console import say
from tais.common.shipped import find_battery_file, names
from tais.common.text import json_line, printable
from tais.manifest.model import BatteryRef

if TYPE_CHECKING:
    from tais.battery.load import LoadedBattery

__all__ = ["app"]

app = typer.Typer(
    name="battery",
    help="Batteries: what a screen asks, and how answers are scored.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)

NameArgument = Annotated[str, typer.Argument(help="Name of a battery that ships with TAIS, or a YAML file.")]
DataOption = Annotated[
    Path | None,
    typer.Option("--data-dir", help="Folder with local copies of data sets, before those of TAIS_DATA."),
]


@app.command("list")
def list_batteries(
    schema: Annotated[
        bool, typer.Option("--schema", help="Print the JSON Schema of battery files instead.")
    ] = False,
) -> None:
    """List the batteries that ship with TAIS: name, scorer, licence, access, pinned or not.

    Example: [bold]tais battery list[/bold]
    """
    # Loads numpy, which help does without.
    from tais.battery.load import load_definition

    if schema:
        typer.echo(json.dumps(battery_schema(), indent=2))
        return
    for name in names("batteries"):
        battery, _ = load_definition(find_battery_file(name))
        scorer = battery.scorer if isinstance(battery.scorer, str) else str(battery.scorer.get("name"))
        fixed = "pinned" if battery.pinned else "file" if battery.source.hub is None else "not pinned"
        typer.echo("\t".join((name, scorer, battery.license, battery.access, fixed)))


@app.command()
def show(name: NameArgument) -> None:
    """Print the definition of a battery.

    Example: [bold]tais battery show xstest[/bold]
    """
    typer.echo(_file(name).read_text(encoding="utf-8"), nl=False)


@app.command()
def check(
    name: NameArgument,
    data_dir: DataOption = None,
    items: Annotated[int, typer.Option("--items", min=0, help="How many items to print.")] = 5,
    redact: Annotated[bool, typer.Option("--redact", help="Print ids and digests, no prompts.")] = False,
) -> None:
    """Load a battery from its source, validate every item, and print the first five.

    Example: [bold]tais battery check advbench --data-dir ~/data --redact[/bold]
    """
    # Loads numpy, which help does without.
    from tais.battery.item import item_values

    battery = _load(name, data_dir)
    for item in battery.items[:items]:
        typer.echo(json_line(item_values(item, redact)))
    for note in battery.notes:
        say(f"note: {note}")
    say(
        f"{battery.name}: {len(battery.items)} items from {printable(battery.origin)}, licence "
        f"{battery.definition.license}, digest {battery.digest}"
    )


@app.command()
def digest(name: NameArgument, data_dir: DataOption = None) -> None:
    """Print the content digest of a battery: what a pin fixes.

    Example: [bold]tais battery digest demo_refuse[/bold]
    """
    typer.echo(_load(name, data_dir).content_digest)


@app.command()
def pin(
    name: NameArgument,
    out: Annotated[Path, typer.Option("--out", help="Where the pinned definition goes.")],
    data_dir: DataOption = None,
    revision: Annotated[
        str | None, typer.Option("--revision", help="Commit of the hub data set; looked up when left out.")
    ] = None,
) -> None:
    """Write a copy of a battery with revision, item count and content digest filled in.

    Needs the network for a hub data set, unless --revision says which commit the local copy is.

    Example: [bold]tais battery pin xstest --out xstest.yaml[/bold]
    """
    # Loads numpy, which help does without.
    from tais.battery.pin import write_pinned

    written = write_pinned(_file(name), out, data_dir, revision)
    say(
        f"{out}: {written.items} items, digest {written.digest}, revision {written.revision or 'none needed'}"
    )


@app.command()
def edge(
    tokenizer: Annotated[Path, typer.Option("--tokenizer", help="Model directory or tokenizer.json.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for serving_edge.yaml and its items.")],
    draft_tokens: Annotated[int, typer.Option("--draft-tokens", min=1, help="k of the speculation.")] = 5,
    block: Annotated[int, typer.Option("--block", min=1, help="Tokens of a cache block.")] = 16,
    chunk: Annotated[int, typer.Option("--chunk", min=1, help="Tokens of a prefill chunk.")] = 512,
    max_model_len: Annotated[int, typer.Option("--max-model-len", min=8, help="Prompt and answer.")] = 2048,
) -> None:
    """Make a battery of prompts at the edges of a serving stack, for one tokenizer.

    Example: [bold]tais battery edge --tokenizer models/target --draft-tokens 5 --out edge/[/bold]
    """
    shape = EdgeShape(draft_tokens=draft_tokens, block=block, chunk=chunk, max_model_len=max_model_len)
    count = write_edge_battery(load_tokenizer(tokenizer), shape, out)
    say(f"{out / 'serving_edge.yaml'}: {count} items")


def _file(name: str) -> Path:
    path = Path(name)
    # A name with an ending, or with a folder, is a file; whoever reads it says what is wrong with it.
    return path if path.suffix or path.exists() else find_battery_file(name)


def _load(name: str, data_dir: Path | None) -> LoadedBattery:
    # Loads numpy, which help does without.
    from tais.battery.load import load_battery, load_definition

    path = _file(name)
    definition, _ = load_definition(path)
    return load_battery(BatteryRef(name=definition.name, path=str(path.resolve())), Path(), data_dir)
