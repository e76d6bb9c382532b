"""``tais law``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from tais.cli import law_bench, law_selector
from tais.cli.console import say, stderr_console
from tais.common.text import printable
from tais.lab.packages import need_torch

if TYPE_CHECKING:
    from tais.lab.verification.exact_law import ExactLaw

__all__ = ["app"]

app = typer.Typer(
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)

_VERIFIER_HELP = "Name, or package.module:callable; more than once for several. All lossless ones by default."
VerifierOption = Annotated[list[str] | None, typer.Option("--verifier", help=_VERIFIER_HELP)]
_SHAPE_HELP = "Draft: chain:L, paths:KxL, delayed:L1,K,L2, entropy:H,K,L; tree, distinct or topk:k1,k2."
ShapeOption = Annotated[list[str] | None, typer.Option("--shape", help=_SHAPE_HELP)]
_LIMIT_HELP = (
    "Most runs of the verifier per audit; beyond, it is sampled, which can convict and never acquit."
)
LimitOption = Annotated[int, typer.Option("--limit", min=1, envvar="TAIS_LAW_LIMIT", help=_LIMIT_HELP)]

# `tais law bench`.
app.command("bench")(law_bench.bench)
# A selector for delayed trees: its data, its training, its table of latencies.
app.command("data")(law_selector.data)
app.command("train")(law_selector.train)
app.command("latency")(law_selector.latency)


@app.callback()
def law(
    context: typer.Context,
    verifier: VerifierOption = None,
    shape: ShapeOption = None,
    vocabulary: Annotated[int, typer.Option("--vocabulary", min=2, max=64, help="Of the random laws.")] = 4,
    laws: Annotated[int, typer.Option("--laws", min=1, help="Random pairs of laws.")] = 2,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of the first pair.")] = 1,
    temperature: Annotated[float, typer.Option("--temperature", min=0, help="0 audits greedy rules.")] = 1.0,
    limit: LimitOption = 200_000,
    samples: Annotated[int, typer.Option("--samples", min=2, help="Runs of a sample.")] = 20_000,
    tolerance: Annotated[float, typer.Option("--tolerance", min=0, help="What counts as rounding.")] = 1e-10,
    bound: Annotated[bool, typer.Option(help="Solve for the most that any lossless rule accepts.")] = True,
) -> None:
    """Compute the exact output law of a verifier by walking every random decision on small vocabularies.

    Example: [bold]tais law --verifier block --shape chain:3[/bold]

    Example: [bold]tais law --verifier mypackage.sampler:verify --shape paths:2x2 --vocabulary 5[/bold]

    A verifier takes (draft, rng): draft.draws(node) are the children of a node in draft order, draft.tokens,
    draft.p and draft.q the token and the laws of target and draft at a node (0 is the context), draft.raw_p
    the target's before temperature; rng.flip(probability) and rng.categorical(weights) are its only chance.
    It returns the accepted tokens and then one more.

    At temperature 0 a rule that never reads raw_p is acquitted only if it also keeps that law, or takes its
    likeliest token, when it is given in place of p.

    Exit codes: 0 lossless, 1 not, 2 usage, 3 not decided, 4 the verifier failed.
    """
    if context.invoked_subcommand is not None:
        return
    need_torch()
    # Loads torch, which help does without.
    from tais.lab.verification.suite import Question, ask, candidates, exit_code

    question = Question(
        vocabulary=vocabulary,
        laws=laws,
        seed=seed,
        temperature=temperature,
        limit=limit,
        samples=samples,
        tolerance=tolerance,
        bound=bound,
    )
    found = list(ask(candidates(verifier or (), shape or ()), question))
    _print(found, exit_code(found))
    raise typer.Exit(exit_code(found))


def _print(found: list[ExactLaw], code: int) -> None:
    # Loads torch, which help does without.
    from tais.lab.verification.suite import summarise

    table = Table(title="Output law against the target's; the worst of the laws")
    for name in ("verifier", "draft", "finding"):
        table.add_column(name, no_wrap=True)
    for name in ("distance", "accepted", "optimum"):
        table.add_column(name, justify="right", no_wrap=True)
    rows = summarise(found)
    for row in rows:
        table.add_row(*(printable(cell) for cell in row[:-1]))
    stderr_console().print(table)
    for name, shape, *_, broken in rows:
        if broken:
            say(f"{name} on {shape}: {broken}")
    verdict = {0: "lossless", 1: "lossy"}.get(code, "undecided")
    typer.echo(json.dumps({"verdict": verdict, "audits": [made.to_json() for made in found]}, indent=2))
