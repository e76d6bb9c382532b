from __future__ import annotations

import json

import pytest
import typer
from typer.testing import CliRunner

from tais.cli.power import power
from tais.errors import UsageError
from tais.stats.design import describe_design, design

app = typer.Typer()
app.command()(power)


def test_command_prints_the_sizes() -> None:
    result = CliRunner().invoke(app, ["--margin", "0.03", "--discordance", "0.02", "--power", "0.9"])
    assert result.exit_code == 0
    assert "fewest that pass with identical outputs: 88 (99 with rules.exact)" in result.stdout
    # Wald: 241 (Liu et al. 2002); the score test needs more.
    assert "rare: 241" in result.stdout
    assert "power 0.9: 339" in result.stdout


def test_command_prints_json() -> None:
    result = CliRunner().invoke(app, ["--json", "--n", "468"])
    found = json.loads(result.stdout)
    assert found["n_floor"] == 88
    assert found["at_n"]["can_pass"] is True
    assert found["at_n"]["detectable_difference"] < 0.03 < found["at_n"]["failing_difference"]


def test_a_battery_of_50_is_told_that_it_cannot_pass() -> None:
    text = describe_design(design(0.03, 0.0, n=50))
    assert "with 50 items: cannot pass, even with identical outputs (88 needed)" in text


def test_a_difference_beyond_the_margin_has_no_n() -> None:
    found = design(0.03, 0.05, difference=-0.04)
    assert found["n_needed"] is None
    assert found["n_wald"] is None
    assert "no number is enough" in describe_design(found)


@pytest.mark.parametrize(
    ("option", "values"),
    [
        ("--margin", {"margin": 1.0}),
        ("--alpha", {"alpha": 0.5}),
        ("--power", {"wanted": 1.0}),
        ("--discordance", {"discordance": 0.01, "difference": 0.02}),
        ("--n", {"n": 0}),
    ],
)
def test_numbers_out_of_range_name_their_option(option: str, values: dict[str, float]) -> None:
    with pytest.raises(UsageError, match=option):
        design(**({"margin": 0.03, "discordance": 0.02} | values))  # type: ignore[arg-type]
