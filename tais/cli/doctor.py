"""``tais doctor``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from tais.cli.console import stderr_console
from tais.cli.progress import make_observer
from tais.common.machine import describe_environment
from tais.common.shipped import share
from tais.common.text import printable
from tais.doctor.checks import Check, check_machine, healthy
from tais.errors import UsageError

if TYPE_CHECKING:
    from tais.doctor.determinism import DeterminismOptions, Measured

__all__ = ["doctor"]

_STEADY = "Determinism"


def doctor(
    determinism: Annotated[
        bool, typer.Option("--determinism", help="Measure how often answers differ when nothing changes.")
    ] = False,
    model: Annotated[
        str | None, typer.Option("--model", help="Directory or repository.", rich_help_panel=_STEADY)
    ] = None,
    engine: Annotated[
        str, typer.Option("--engine", help="vllm or transformers.", rich_help_panel=_STEADY)
    ] = "vllm",
    dtype: Annotated[
        list[str] | None, typer.Option("--dtype", help="Such as bfloat16; repeat.", rich_help_panel=_STEADY)
    ] = None,
    batch: Annotated[
        list[int] | None,
        typer.Option("--batch", min=1, help="Sequences at once; repeat.", rich_help_panel=_STEADY),
    ] = None,
    threads: Annotated[
        list[int] | None,
        typer.Option("--threads", min=1, help="OMP_NUM_THREADS; repeat.", rich_help_panel=_STEADY),
    ] = None,
    battery: Annotated[
        list[str] | None, typer.Option("--battery", help="Name or file; repeat.", rich_help_panel=_STEADY)
    ] = None,
    items: Annotated[
        int, typer.Option("--items", min=1, help="Of each battery.", rich_help_panel=_STEADY)
    ] = 32,
    max_tokens: Annotated[
        int, typer.Option("--max-tokens", min=1, help="Longest answer.", rich_help_panel=_STEADY)
    ] = 64,
    engine_args: Annotated[
        str | None, typer.Option("--engine-args", help="Options as JSON.", rich_help_panel=_STEADY)
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Do not let each engine answer a token.")] = False,
    python: Annotated[
        list[str] | None,
        typer.Option("--python", help="Interpreter on which vLLM is tried, too; repeat."),
    ] = None,
    out: Annotated[Path, typer.Option("--out", envvar="TAIS_OUT", help="Where runs go.")] = Path("reports"),
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No table, no progress.")] = False,
) -> None:
    """Say what this machine lacks for a screen, or how steady its answers are. Machines read standard output.

    Example: [bold]tais doctor --determinism --model models/demo/target --dtype bfloat16[/bold]

    Exit codes: 0 nothing is missing, or measured; 2 usage error; 4 something is missing, or a run failed.
    """
    if determinism:
        # Loads pyarrow, which help does without.
        from tais.doctor.determinism import DeterminismOptions

        defaults = DeterminismOptions("")
        options = DeterminismOptions(
            model=_named(model),
            engine=engine,
            dtypes=tuple(dict.fromkeys(dtype or defaults.dtypes)),
            batches=tuple(dict.fromkeys(batch or defaults.batches)),
            threads=tuple(dict.fromkeys(threads or ())),
            batteries=tuple(dict.fromkeys(battery or defaults.batteries)),
            items=items,
            max_tokens=max_tokens,
            engine_args=_arguments(engine_args),
            out=out,
        )
        typer.echo(json.dumps(_measure(options, quiet), indent=2, allow_nan=False))
        return

    checks = check_machine(out)
    if not quick and healthy(checks):
        # Loads pyarrow, which help does without.
        from tais.doctor.one_token import answer_once

        working = [check.name.removeprefix("engine ") for check in checks if check.status == "ok"]
        engines = [engine for engine in ("vllm", "transformers") if engine in working]
        checks += answer_once(engines, [None, *(python or ())])
    if not quiet:
        _show_checks(checks)
    whole = healthy(checks)
    told = {"schema": "tais/doctor/v1", "healthy": whole, "checks": [check.as_dict() for check in checks]}
    typer.echo(json.dumps(told, indent=2))
    raise typer.Exit(0 if whole else 4)


def _named(model: str | None) -> str:
    if model is not None:
        return model
    own = share("models") / "demo" / "target"
    if not own.is_dir():
        raise UsageError("no model is named", remedy="Name one with --model")
    return str(own)


def _arguments(text: str | None) -> dict[str, object]:
    try:
        value = json.loads(text or "{}")
    except ValueError as error:
        raise UsageError(f"--engine-args is no JSON: {error}", remedy="Write an object") from error
    if not isinstance(value, dict):
        raise UsageError("--engine-args is no JSON object", remedy='Write it as {"max_model_len": 4096}')
    return value


def _measure(options: DeterminismOptions, quiet: bool) -> dict[str, object]:
    # Loads pyarrow, which help does without.
    from tais.doctor.determinism import measure

    environment = describe_environment()
    with make_observer(quiet=quiet, verbose=False) as observer:
        found = measure(options, observer, environment["hardware"]["gpus"])
    if not quiet:
        _show_pairs(found)
    return {**found, "environment": environment}


def _show_checks(checks: Sequence[Check]) -> None:
    table = Table(box=None, header_style="bold")
    for column in ("", "what", "found", "remedy"):
        # A path that is cut is no path.
        table.add_column(column, overflow="fold")
    for check in checks:
        table.add_row(check.status, check.name, printable(check.said), check.remedy or "")
    stderr_console().print(table)


def _show_pairs(found: Measured) -> None:
    table = Table("dtype", "changed", "differ", "share", "95 %", "first differ at token", box=None)
    for pair in (pair for pair in found["pairs"] if pair["from_reference"]):
        places = pair["first_divergences"]
        low, high = pair["wilson"]
        table.add_row(
            pair["dtype"],
            pair["changed"],
            f"{pair['differing']} of {pair['n']}",
            "" if pair["share"] is None else f"{pair['share']:.1%}",
            f"{low:.1%} to {high:.1%}",
            f"{places[0]} to {places[-1]}, median {pair['median_first_divergence']:g}" if places else "",
        )
    console = stderr_console()
    console.print(table)
    mode = found["batch_invariant"]
    told = "batch-invariant mode: " + ("measured, " if mode["available"] else "not available; ") + mode["why"]
    console.print(told)
