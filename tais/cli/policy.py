"""``tais policy``: what a policy protects against, and a strict one from a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tais.attest import load_public_key, verify_run
from tais.cli.console import say, tell
from tais.cli.key_options import TrustedKeyOption
from tais.cli.options import find_run_dir
from tais.errors import UsageError

__all__ = ["app"]

app = typer.Typer(
    name="policy",
    help="Say what a gate's policy protects against, or write a strict one.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)


@app.command("explain")
def explain(policy: Annotated[Path, typer.Argument(help="Policy file.")]) -> None:
    """Show each key of a policy, what it says there, and what it protects against; - where it says nothing.

    Example: [bold]tais policy explain policy.yaml[/bold]
    """
    from tais.common.text import printable
    from tais.common.yaml12 import load
    from tais.gate.explain import explained
    from tais.gate.policy import load_policy

    loaded, data = load_policy(policy), load(policy).data
    for key, said, what in explained(loaded, frozenset(data) if isinstance(data, dict) else frozenset()):
        shown = said if len(said) <= 60 else f"{said[:57]}..."
        tell(key, printable(shown), what)
    if not loaded.strict:
        say("note: tais/policy/v1 keeps the meaning that it had; tais/policy/v2 asks for more")


@app.command("strict")
def strict(
    run_dir: Annotated[
        Path,
        typer.Option(
            "--from",
            help="A signed run that you accept; a folder's newest, or latest.",
            callback=find_run_dir,
        ),
    ],
    out: Annotated[Path | None, typer.Option("--out", help="File to write; else it is printed.")] = None,
    trusted_key: TrustedKeyOption = None,
) -> None:
    """Write a policy that asks of every later run what this one shows: engines, items, scorers, reference, n.

    Example: [bold]tais policy strict --from reports/demo/RUN --trusted-key tais.pub --out policy.yaml[/bold]
    """
    import io

    from ruamel.yaml import YAML

    from tais.common.files import write_atomic
    from tais.gate.explain import strict_policy

    if not trusted_key:
        raise UsageError("no key to verify with", remedy="Name one that you trust: --trusted-key PUB.pem")
    found = strict_policy(verify_run(run_dir, [load_public_key(trusted_key)]))
    text = io.StringIO()
    YAML().dump(found, text)
    if out is None:
        typer.echo(text.getvalue(), nl=False)
        return
    if out.exists():
        raise UsageError(f"{out} exists already", remedy="Choose another --out: a policy is not replaced")
    write_atomic(out, text.getvalue().encode())
    say(f"{out}: read it before you rely on it; tais policy explain says what each key protects against")
    typer.echo(str(out))
