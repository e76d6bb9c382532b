"""The ``tais`` command."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType
from typing import Annotated

import typer

from tais.cli import (
    adjudicate,
    audit,
    battery,
    compare,
    doctor,
    draft,
    drill,
    gate,
    keys,
    law,
    leak,
    power,
    report,
    run,
    study,
    verify,
)
from tais.cli.console import say_error
from tais.common.version import __version__

__all__ = ["app", "main", "run_command"]

# Typer carries its own copy of click, whose root exception it does not export.
_CLICK_ERROR: type[Exception] = next(
    cls
    for cls in typer.BadParameter.__mro__
    if cls.__name__ == "ClickException" and issubclass(cls, Exception)
)

app = typer.Typer(
    name="tais",
    help="Screen whether a change to an LLM serving stack changed its safety-scored behaviour.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


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


app.command("run", rich_help_panel="Screen")(run.run)
app.command("audit", rich_help_panel="Screen")(audit.audit)
app.command("drill", rich_help_panel="Screen")(drill.drill)
app.command("plan", rich_help_panel="Screen")(run.plan)
app.command("study", rich_help_panel="Screen")(study.study)
app.command("power", rich_help_panel="Screen")(power.power)
app.add_typer(draft.app, name="draft", rich_help_panel="Screen")
app.command("leak", rich_help_panel="Privacy")(leak.leak)
app.add_typer(battery.app, name="battery", rich_help_panel="Batteries")
app.add_typer(law.app, name="law", rich_help_panel="Screen")
app.command("report", rich_help_panel="Results")(report.report)
app.command("verify", rich_help_panel="Results")(verify.verify)
app.command("gate", rich_help_panel="Results")(gate.gate)
app.command("compare", rich_help_panel="Results")(compare.compare)
app.add_typer(adjudicate.app, name="adjudicate", rich_help_panel="Results")
app.command("doctor", rich_help_panel="Results")(doctor.doctor)
app.command("keygen", rich_help_panel="Results")(keys.keygen)


def main() -> None:
    """Run the command line; the exit code is the contract's."""
    # A CI job that is cancelled stops as cleanly as Ctrl-C does.
    signal.signal(signal.SIGTERM, _interrupt)
    sys.exit(run_command(sys.argv[1:]))


def _interrupt(signum: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def run_command(arguments: list[str]) -> int:
    """Run one command line and return its exit code; every failure ends as one line on standard error."""
    from tais.errors import TaisError

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
    except BrokenPipeError:
        # The reader of a pipe went away; nobody is left to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 4
    except Exception as error:  # the last line of defence: one line for the user, never a traceback
        if os.environ.get("TAIS_DEBUG"):
            raise
        say_error(f"unforeseen {type(error).__name__}: {error}. Set TAIS_DEBUG=1 to see where, and report it")
        return 4
    return code if isinstance(code, int) else 0
