"""Recipes are whole: each is listed, plans as it stands and as a copy, and has what a pass needs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tais.manifest.load import load_manifest
from tais.manifest.model import Role
from tais.manifest.recipes import recipes
from tais.plan.plan import make_plan
from tests.conftest import ROOT, Tais

FOLDER = ROOT / "manifests" / "recipes"


def test_every_recipe_is_listed_and_plans_as_it_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    # Batteries and models of the hub are named, not fetched.
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    found = recipes()
    assert [recipe.name for recipe in found] == sorted(
        {r.name for r in found}, key=[r.name for r in found].index
    )
    assert {recipe.name for recipe in found} == {path.stem for path in FOLDER.glob("*.yaml")}
    for recipe in found:
        manifest = load_manifest(recipe.manifest)
        assert manifest.name == recipe.name
        roles = {contrast.role for contrast in manifest.contrasts}
        assert Role.calibration in roles, recipe.name
        screened = {c.candidate for c in manifest.contrasts if c.role is Role.screen}
        assert set(recipe.seen) in (set(), screened), recipe.name
        if recipe.seen and not manifest.environments:
            plan = make_plan(manifest)
            # On the models that ship with TAIS, and small enough for a minute or two.
            assert Role.positive_control in roles, recipe.name
            assert plan.samples_per_arm * len(plan.arms) <= 1500, recipe.name


def test_a_copy_runs_from_where_it_lies(tais: Tais, tmp_path: Path) -> None:
    listed = [line.split("\t")[0] for line in tais("recipe", "list").stdout.splitlines()]
    assert listed == [recipe.name for recipe in recipes()]
    assert tais("recipe", "show", "ngram").stdout == (FOLDER / "ngram.yaml").read_text()
    done = tais("recipe", "copy", "chat-template", tmp_path / "mine.yaml")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [str(tmp_path / "mine.yaml"), str(tmp_path / "chat-template.jinja")]
    arm = make_plan(tmp_path / "mine.yaml").manifest.arms["changed"]
    assert arm.chat_template == str(tmp_path / "chat-template.jinja")
    assert arm.model == str(ROOT / "models" / "demo" / "target")
    again = tais("recipe", "copy", "chat-template", tmp_path / "mine.yaml")
    assert (again.returncode, "there is a file already" in again.stderr) == (2, True)
    # Where a link leads nowhere there is something all the same.
    (tmp_path / "link.yaml").symlink_to(tmp_path / "nowhere.yaml")
    assert tais("recipe", "copy", "ngram", tmp_path / "link.yaml").returncode == 2
    unknown = tais("recipe", "copy", "draft-swop")
    assert (unknown.returncode, "Did you mean 'draft-swap'?" in unknown.stderr) == (2, True)


def test_the_documentation_says_of_each_recipe_what_its_list_says() -> None:
    rows = {}
    for line in (ROOT / "docs" / "recipes.md").read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| `"):
            rows[cells[0].strip("`")] = cells[1:]
    for recipe in recipes():
        seen = ", ".join(f"{candidate} {verdict}" for candidate, verdict in recipe.seen.items())
        assert rows.pop(recipe.name) == [recipe.change, seen or f"not run: {recipe.not_run}"], recipe.name
    assert not rows, json.dumps(list(rows))
