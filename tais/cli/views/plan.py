"""What ``tais plan`` shows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from rich.box import SIMPLE
from rich.table import Table

from tais.battery.item import Item
from tais.battery.load import LoadedBattery
from tais.battery.strata import repeated_words
from tais.cli.console import plain_console
from tais.cli.views.exchange import exchange_lines, exchange_questions, unshown_lines
from tais.common.text import printable
from tais.cost.predict import predict
from tais.cost.rates import Rates
from tais.manifest.expanded_sweep import Swept
from tais.plan.looks import stop_without_flips
from tais.plan.plan import Plan
from tais.plan.room import prompts_without_room
from tais.records import stratum_label
from tais.report.tables.cost import prediction_lines, prediction_rows
from tais.report.wording import NONE
from tais.rundir.lock_model import Lock, LookSchedule
from tais.runs.outlook import CEILING, STATED_RATE, Outlook
from tais.scorers import scorer_label
from tais.scoring.locked_scorers import judges_of
from tais.stats.power import zero_discordance_floor

__all__ = ["endpoint_sizes", "print_cost", "print_outlook", "print_plan", "warnings"]


def print_plan(plan: Plan, found: Outlook | None = None) -> None:
    """Print arms, contrasts, batteries and sizes to standard output, and what cannot pass as it is."""
    console = plain_console()
    if not console.is_terminal:
        console.width = 110
    console.print(f"{printable(plan.manifest.name)}: {len(plan.arms)} arms of {plan.samples_per_arm} samples")
    console.print(_batteries(plan, found))
    tokens = plan.samples_per_arm * plan.manifest.sampling.max_tokens
    console.print(f"at most {tokens * len(plan.arms):,} answer tokens in all ({tokens:,} per arm)")
    for name, scorers in judges_of(plan.lock).items():
        batteries = [b for b in plan.batteries if name in _judges(b)]
        questions = sum(len(b.items) for b in batteries) * plan.manifest.sampling.n * len(plan.arms)
        questions += exchange_questions(plan, name)
        said = ", ".join(sorted({scorer.name for scorer in scorers}))
        console.print(f"judge {printable(name)}: at most {questions:,} questions ({said})")
    for line in (*exchange_lines(plan), *_audits(plan, tokens)):
        console.print(line)
    for line in _starts(plan.lock):
        console.print(line)
    if plan.manifest.sweep is not None:
        console.print(_sweep(plan.manifest.sweep))
    if plan.lock.contrasts:
        console.print(_contrasts(plan))
    if plan.lock.sequential is not None:
        console.print(_looks(plan.lock, plan.lock.sequential))
    for line in warnings(plan):
        console.print(line, style="yellow")
    roles = {contrast.role.value for contrast in plan.lock.contrasts}
    if "screen" not in roles:
        console.print(f"records {len(plan.arms)} arms for tais compare and screens nothing", style="dim")
        return
    for role, missing in (
        ("calibration", "no calibration contrast: nothing will show what the same stack does against itself"),
        ("positive_control", "no positive control: nothing will show how small a leak would have been seen"),
    ):
        if role not in roles:
            console.print(f"note: {missing}", style="dim")


def warnings(plan: Plan) -> list[str]:
    """Return what a user should know before the run: what cannot pass, what is taken on trust."""
    found = (_too_small(plan), _repeated(plan), _no_room(plan), _not_looked_up(plan), _notes(plan))
    return [*(line for lines in found for line in lines), *unshown_lines(plan)]


def print_outlook(found: Outlook | None, floor: int) -> None:
    """Print how likely equal stacks pass the whole screen.

    Parameters
    ----------
    found
        None where nothing is screened, or where the margin is one of a ratio.
    floor
        Fewest items that pass with identical outputs at the manifest's margin.
    """
    if found is None:
        return
    console = plain_console()
    if not console.is_terminal:
        console.width = 110
    again = f" and {found.calibrations} A/A" if found.calibrations else ""
    contrasts = "1 contrast" if found.screened == 1 else f"{found.screened} contrasts"
    ends = "1 endpoint" if found.endpoints == 1 else f"{found.endpoints} endpoints"
    console.print(f"equal stacks pass all of it ({ends} each in {contrasts}{again}) with probability")
    for rate, p in found.power:
        few = dict(found.needed).get(rate)
        need = f" (for 0.80 each endpoint needs {few:,} independent items)" if few and p < 0.8 else ""
        console.print(f"  {_probability(p)} if {100 * rate:g} % of the items differ by chance{need}")
    console.print(
        f"  the smallest endpoint has {found.smallest:,} independent items; without a flip {floor} pass"
    )
    if found.last is not None and found.at_last is not None:
        run = printable(found.last.run)
        console.print(f"  {_probability(found.at_last)} if as many differ as in the last run ({run})")
        console.print("  Cohen's h and its cutoff are counted at the rates of that run")
    if found.at_ceiling is not None:
        differ, p = found.at_ceiling
        console.print(
            f"  if {100 * STATED_RATE:g} % of the answers are as expected. Near a ceiling h's cutoff may "
            f"be unusable: {_probability(p)} at {100 * CEILING:g} %, where {100 * differ:g} % differ"
        )
    if found.left_out:
        console.print(f"  not counted: {found.left_out} batteries of scores, whose spread is not known")


def _notes(plan: Plan) -> Iterator[str]:
    yield from map(printable, plan.notes)
    for battery in plan.batteries:
        yield from (printable(f"{battery.name}: {note}") for note in battery.notes if "chat template" in note)


def _probability(p: float) -> str:
    """Say a probability; one that is small is no 0."""
    return "below 0.01" if 0 < p < 0.005 else f"{p:.2f}"


def print_cost(plan: Plan, rates: Rates | None, workers: int, shards: int) -> None:
    """Print what the run would cost, or how to learn it."""
    console = plain_console()
    if not console.is_terminal:
        console.width = 110
    if rates is None:
        text = "cost: not known; --calibrate times a few items of every arm, and a finished run tells it too"
        console.print(text, style="dim")
        return
    prediction = predict(plan.lock, rates, workers=workers, shards=shards)
    table = Table("arm", "tokens", "load", "answers", "holds", box=SIMPLE, show_edge=False)
    for row in prediction_rows(prediction):
        table.add_row(*(printable(cell) for cell in row))
    console.print(table)
    for line in prediction_lines(prediction):
        console.print(printable(line))


def _audits(plan: Plan, tokens: int) -> Iterator[str]:
    """Say what each reference stack must score, in answer tokens of one forward pass each."""
    contrasts = plan.lock.contrasts
    for reference in dict.fromkeys(contrast.reference for contrast in contrasts):
        scopes = [c.audit for c in contrasts if c.reference == reference]
        whole = scopes.count("full") + scopes.count("only")
        name = printable(reference)
        if whole:
            own = reference in plan.arms
            once = "; answers shared with the reference are scored once" if own else ""
            yield f"audit under {name}: at most {tokens * (whole + own):,} answer tokens to score{once}"
            controls = [control for control in plan.lock.controls if control.reference == reference]
            for control in controls:
                most = min(len(control.items) * plan.manifest.sampling.max_tokens, control.tokens)
                yield (
                    f"  {name} answers some items itself, for what rounding does: about {most:,} tokens, of "
                    f"{len(control.items)} items at most, in the shape of {printable(control.name)}"
                )
            if not own and not controls:
                yield f"  {name} answers nothing itself: {tokens:,} tokens less to generate"
        elif "divergences" in scopes:
            yield f"audit under {name}: the tokens at which answers diverge, if any do"


def _starts(lock: Lock) -> Iterator[str]:
    """Say how often arms are started, and what that could not miss."""
    for name, starts in lock.starts.items():
        known = 1 - 0.05 ** (1 / len(starts))
        yield (
            f"{printable(name)}: {len(starts)} starts, each a fresh process that answers everything; if none "
            f"fails, a fault of at most {known:.0%} of launches is left (95 %)"
        )


def _sweep(sweep: Swept) -> str:
    targets = len({cell.reference for cell in sweep.cells})
    candidates = len({cell.candidate for cell in sweep.cells})
    covered = "every pair of values meets" if sweep.cover == "pairwise" else "every combination is there"
    axes = "; ".join(f"{axis.name}: {', '.join(axis.values)}" for axis in sweep.axes)
    return (
        f"sweep: {len(sweep.cells)} of {sweep.combinations:,} combinations ({covered}), "
        f"{candidates} candidates on {targets} target arms; {printable(axes)}"
    )


def _looks(lock: Lock, fixed: LookSchedule) -> str:
    counts = [entry.clusters for entry in fixed.batteries.values()]
    arms = ", ".join(printable(arm) for arm in fixed.arms)
    said = f"may stop early, at {fixed.looks} looks ({fixed.kind}): {arms}"
    stop = stop_without_flips(lock)
    if stop is None:
        return f"{said}; without a flip they answer everything"
    needed, planned = sum(c[stop - 1] for c in counts), sum(c[-1] for c in counts)
    saved = 1 - needed / planned
    return (
        f"{said}; without a flip after look {stop}, {needed:,} of {planned:,} independent items "
        f"({saved:.0%} saved)"
    )


def _judges(battery: LoadedBattery) -> set[str]:
    return {getattr(scorer, "judge", "") for scorer in (battery.scorer, *battery.second_scorers)}


def _clusters(items: Iterable[Item]) -> int:
    return len({item.cluster for item in items})


def _strata(plan: Plan) -> Iterator[tuple[str, LoadedBattery, tuple[Item, ...]]]:
    """Yield what each endpoint asks: its name, its battery and the items of its stratum."""
    for battery in plan.batteries:
        for stratum, items in battery.strata.items():
            yield stratum_label(battery.name, stratum), battery, items


def _repeated(plan: Plan) -> Iterator[str]:
    """Say which batteries hold one prompt under several ids."""
    for battery in plan.batteries:
        if (words := repeated_words(battery.items)) is not None:
            yield f"note: {battery.name}: {words}"


def _too_small(plan: Plan) -> Iterator[str]:
    rules = plan.manifest.rules
    for name, own_margin, have in _sizes(plan):
        need = _floor(plan, own_margin)
        if have < need:
            margin = rules.margin if own_margin is None else own_margin
            yield (
                f"warning: {name} cannot pass at {100 * margin:g} pp even with identical outputs: "
                f"{have} independent items, {need} needed"
            )


def _sizes(plan: Plan) -> Iterator[tuple[str, float | None, int]]:
    """Yield name, own margin and independent items; of a battery that is not here, as many as it expects."""
    for label, battery, items in _strata(plan):
        yield label, battery.margin, _clusters(items)
    for missing in plan.missing:
        if missing.items is not None:
            yield missing.name, missing.margin, missing.items


def _no_room(plan: Plan) -> Iterator[str]:
    """Name the prompts that an audit without a target arm will leave out."""
    for found in prompts_without_room(plan):
        name = printable(found.reference)
        if found.unknown:
            yield f"not looked up: whether prompts leave room for an answer under {name}: {found.unknown}"
            continue
        named = ", ".join(printable(item) for item in found.items[:5])
        more = f" and {len(found.items) - 5} more" if len(found.items) > 5 else ""
        yield (
            f"planned out: {printable(found.battery)}: {len(found.items)} prompts leave no room for an "
            f"answer in the context of {name} ({named}{more})"
        )


def _not_looked_up(plan: Plan) -> Iterator[str]:
    """Say what this plan takes on trust: data that is not here, and weights on a hub."""
    for battery in plan.missing:
        yield f"not here: {printable(battery.reason)}"
    pinned: dict[str, str | None] = {}
    manifest = plan.manifest
    used = dict.fromkeys(
        [*(side for c in manifest.contrasts for side in (c.reference, c.candidate)), *plan.arms]
    )
    for arm in (*(manifest.arms[name] for name in used), *manifest.judges.values()):
        if arm.model is not None and not arm.attached and arm.engine not in ("fake", "import"):
            pinned.setdefault(arm.model, arm.revision)
        draft = (arm.speculative_config or {}).get("model")
        if isinstance(draft, str) and arm.engine != "fake":
            pinned.setdefault(draft, (arm.speculative_config or {}).get("revision"))
    for model, revision in pinned.items():
        if not Path(model).exists():
            said = f"revision {revision}" if revision else "no revision: say one, so that it cannot move"
            yield f"not looked up: {printable(f'{model}: not here, so a name on the hub ({said})')}"


def _floor(plan: Plan, own_margin: float | None) -> int:
    rules = plan.manifest.rules
    margin = rules.margin if own_margin is None else own_margin
    return zero_discordance_floor(margin, rules.alpha, exact=rules.exact)


class EndpointSize(NamedTuple):
    """What one endpoint asks."""

    name: str
    battery: LoadedBattery
    items: int
    independent: int
    needed: int
    """Fewest independent items that pass without a single flip."""
    margin: float


def endpoint_sizes(plan: Plan) -> list[EndpointSize]:
    """Return the sizes of the endpoints whose battery is at hand."""
    return [
        EndpointSize(
            label,
            battery,
            len(items),
            _clusters(items),
            _floor(plan, battery.margin),
            plan.manifest.rules.margin if battery.margin is None else battery.margin,
        )
        for label, battery, items in _strata(plan)
    ]


def _batteries(plan: Plan, found: Outlook | None) -> Table:
    """Show what is asked beside what it takes: without a flip, and at flips as they are to be expected."""
    rate, few = next(iter(found.needed), (0.0, None)) if found else (0.0, None)
    table = Table(
        "battery",
        "items",
        "independent",
        "no flip",
        *([f"{100 * rate:g} % flip"] if rate else []),
        "scorer",
        "margin",
        "licence",
        box=SIMPLE,
        show_edge=False,
    )
    for size in endpoint_sizes(plan):
        table.add_row(
            size.name,
            str(size.items),
            str(size.independent),
            str(size.needed),
            *([NONE if few is None else str(few)] if rate else []),
            ", ".join(scorer_label(scorer) for scorer in (size.battery.scorer, *size.battery.second_scorers)),
            f"{100 * size.margin:g} pp",
            printable(str(size.battery.definition.license or "not stated")),
        )
    for missing in plan.missing:
        margin = plan.manifest.rules.margin if missing.margin is None else missing.margin
        own, need = f"{missing.items or '?'}", str(_floor(plan, missing.margin))
        flips = ["?"] if rate else []
        table.add_row(missing.name, own, "?", need, *flips, "not here", f"{100 * margin:g} pp", "")
    expected = f", {100 * rate:g} % flip" if rate else ""
    table.caption = f"no flip{expected}: independent items needed to pass with probability 0.8"
    table.caption_justify = "left"
    return table


def _contrasts(plan: Plan) -> Table:
    table = Table("contrast", "role", "lossless", "differs in", box=SIMPLE, show_edge=False)
    for contrast in plan.lock.contrasts:
        table.add_row(
            f"{contrast.candidate} against {contrast.reference}",
            contrast.role.value,
            "claimed" if contrast.lossless else "not claimed",
            ", ".join(contrast.differences) or "nothing",
        )
    return table
