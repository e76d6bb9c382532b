"""The ``tais`` command."""

from __future__ import annotations

import importlib
import os
import signal
import sys
import traceback
from types import FrameType
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer
from typer.core import TyperGroup
from typer.main import get_group

from tais.cli.console import say_error
from tais.cli.streams import keep_streams
from tais.common.limits import check_address_space
from tais.common.version import __version__
from tais.errors import TaisError

if TYPE_CHECKING:
    from typer._click import Command, Context

__all__ = ["COMMANDS", "Entry", "app", "main", "run_command"]

# Typer carries its own copy of click, whose root exception it does not export.
_CLICK_ERROR: type[Exception] = next(
    cls
    for cls in typer.BadParameter.__mro__
    if cls.__name__ == "ClickException" and issubclass(cls, Exception)
)


class Entry(NamedTuple):
    """What the list of commands shows of one, and where it is."""

    name: str
    panel: str
    module: str
    """Holds the command as a function, or a group as ``app``."""
    line: str
    function: str = ""
    """Its name there, where it is not the command's."""


_SCREEN, _TRUST, _SET_UP, _LOOK, _LAB = "Screen", "Trust", "Set up", "Look", "Lab"
_ROWS = (
    (
        _SCREEN,
        "run",
        "run",
        "Run the arms of a manifest, score them, and decide. The exit code is the verdict.",
    ),
    (
        _SCREEN,
        "plan",
        "run",
        "Show what a manifest would run, and what it would cost; no engine starts without --calibrate.",
    ),
    (
        _SCREEN,
        "compare",
        "compare",
        "Contrast the arms of two runs: did the upgrade make anything worse? The exit code is the verdict.",
    ),
    (
        _SCREEN,
        "audit",
        "audit",
        "Score every token of stored answers under a reference stack. The exit code is the verdict.",
    ),
    (
        _SCREEN,
        "study",
        "study",
        "Run every manifest of a folder, in order of their names, and write one report over all of them.",
    ),
    (
        _TRUST,
        "verify",
        "verify",
        "Check that a run is what its signer signed. Exit code 0 when it is, whatever the verdict; else 5.",
    ),
    (_TRUST, "gate", "gate", "Verify a run, judge it by a policy, and exit as CI should."),
    (_TRUST, "policy", "policy", "Say what a gate's policy protects against, or write a strict one."),
    (
        _TRUST,
        "keygen",
        "keys",
        "Make a key pair: tais.key signs runs and stays with you, tais.pub verifies them.",
    ),
    (_TRUST, "adjudicate", "adjudicate", "Ask people about flipped answers, blind, and cite what they said."),
    (_SET_UP, "init", "init", "Write a manifest, a policy and a CI workflow for a change of yours."),
    (
        _SET_UP,
        "doctor",
        "doctor",
        "Say what this machine lacks for a screen, or how steady its answers are. "
        "Machines read standard output.",
    ),
    (_SET_UP, "battery", "battery", "Batteries: what a screen asks, and how answers are scored."),
    (_SET_UP, "recipe", "recipe", "Recipes: a manifest for each kind of change, to copy and fill in."),
    (_SET_UP, "env", "env", "Environments of arms: other versions of an engine, in one screen."),
    (
        _SET_UP,
        "model",
        "model",
        "Models that TAIS keeps: a real one without a hub, any GGUF, drafts of them.",
    ),
    (_SET_UP, "power", "power", "Say how many items a battery needs, and what a given number can show."),
    (_SET_UP, "schema", "schema", "Print the JSON Schema of a file that you write or read."),
    (
        _LOOK,
        "report",
        "report",
        "Show the decision of a run, recomputed from its samples. Exit code 0 whatever the verdict.",
    ),
    (_LOOK, "runs", "runs", "List the runs of a folder, the newest last."),
    (
        _LOOK,
        "open",
        "runs",
        "Open the page of a run in a browser; where there is none, print where the page is.",
    ),
    (
        _LOOK,
        "view",
        "runs",
        "Write one page over all runs of a folder: verdicts, how rates moved from run to run, links.",
    ),
    (
        _LOOK,
        "export",
        "export",
        "Write what a run holds for other tools: csv, parquet, jsonl or Inspect logs.",
    ),
    (
        _LAB,
        "drill",
        "drill",
        "Plant faults in a real engine and show which check of the screen catches which.",
    ),
    (_LAB, "museum", "museum", "Real bugs of released engines, and what TAIS says of them."),
    (
        _LAB,
        "law",
        "law",
        "Compute the exact output law of a verifier by walking every random decision on small vocabularies.",
    ),
    (
        _LAB,
        "leak",
        "leak",
        "Read prompts back from hidden states, as a host that receives them could. Exit code 0 when it ran.",
    ),
    (_LAB, "draft", "draft", "Make drafts that put a serving stack to the test."),
)
_FUNCTIONS = {"open": "open_page"}
COMMANDS = tuple(
    Entry(name, panel, module, line, _FUNCTIONS.get(name, name)) for panel, name, module, line in _ROWS
)
_ENTRIES = {entry.name: entry for entry in COMMANDS}


def _load(name: str) -> Command:
    """Import the module of a command and return the command."""
    check_address_space()
    entry = _ENTRIES[name]
    module = importlib.import_module(f"tais.cli.{entry.module}")
    # Typer builds commands for a group alone, so this one gets a group of its own.
    holder = typer.Typer(add_completion=False, rich_markup_mode="rich")
    holder.callback()(_nothing)
    if hasattr(module, "app"):
        holder.add_typer(module.app, name=name)
    else:
        holder.command(name)(getattr(module, entry.function))
    return get_group(holder).commands[name]


def _nothing() -> None:
    """Stands where a command is only listed."""


class _LazyGroup(TyperGroup):
    """Lists commands by their lines, and imports the one that is called."""

    def resolve_command(self, ctx: Context, args: list[str]) -> tuple[str | None, Command | None, list[str]]:
        name, listed, rest = super().resolve_command(ctx, args)
        return name, listed if name is None else _load(name), rest


app = typer.Typer(
    name="tais",
    cls=_LazyGroup,
    help="Screen whether a change to an LLM serving stack changed its safety-scored behaviour.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
for _entry in COMMANDS:
    app.command(_entry.name, help=_entry.line, rich_help_panel=_entry.panel)(_nothing)


def _version(value: bool) -> None:
    if value:
        typer.echo(f"tais {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Screen whether a change to an LLM serving stack changed its safety-scored behaviour."""


def main() -> None:
    """Run the command line; the exit code is the contract's, whatever has become of the streams."""
    keep_streams()
    # A CI job that is cancelled, or a terminal that is closed, stops as cleanly as Ctrl-C does.
    for number in (signal.SIGTERM, signal.SIGHUP):
        # Under nohup a hang-up is ignored.
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _interrupt)
    try:
        code = run_command(sys.argv[1:])
    except KeyboardInterrupt:
        # A second one, while the first was told.
        code = 130
    except BaseException:  # Python's own code for this is 1, which is a verdict here
        if os.environ.get("TAIS_DEBUG"):
            traceback.print_exc()
        code = 4
    sys.exit(code)


def _interrupt(signum: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def run_command(arguments: list[str]) -> int:
    """Run one command line and return its exit code; every failure ends as one line on standard error."""
    try:
        code = app(arguments, standalone_mode=False, prog_name="tais")
    except TaisError as error:
        say_error(str(error))
        return error.exit_code
    except _CLICK_ERROR as error:
        error.show()  # type: ignore[attr-defined]  # its own way to print usage and hint
        return 2
    except (KeyboardInterrupt, typer.Abort):
        say_error("stopped")
        return 130
    except Exception as error:  # the last line of defence: one line for the user, never a traceback
        if os.environ.get("TAIS_DEBUG"):
            raise
        say_error(f"unforeseen {type(error).__name__}: {error}. Set TAIS_DEBUG=1 to see where, and report it")
        return 4
    return code if isinstance(code, int) else 0
