from __future__ import annotations

from pathlib import Path

import pytest

from tais.common import shipped as resources
from tais.common.shipped import find_battery_file, names, share
from tais.errors import ManifestError, Place


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of an installed package that brings two batteries."""
    package = tmp_path / "site-packages" / "tais"
    (package / "share" / "batteries").mkdir(parents=True)
    for name in ("xstest", "advbench"):
        (package / "share" / "batteries" / f"{name}.yaml").touch()
    monkeypatch.setattr(resources, "_PACKAGE", package)
    return package


def test_a_checkout_finds_its_own_folders() -> None:
    root = Path(__file__).parents[2]
    assert [share(kind) for kind in ("batteries", "manifests", "models")] == [
        root / "batteries",
        root / "manifests",
        root / "models",
    ]


def test_an_installed_package_finds_what_it_brings(installed: Path) -> None:
    assert share("batteries") == installed / "share" / "batteries"
    assert names("batteries") == ["advbench", "xstest"]
    assert find_battery_file("xstest") == installed / "share" / "batteries" / "xstest.yaml"


def test_another_package_called_models_is_not_taken(installed: Path) -> None:
    (installed.parent / "models").mkdir()
    with pytest.raises(ManifestError) as caught:
        share("models")
    assert str(caught.value) == (
        f"{installed / 'share' / 'models'}: the models that ship with TAIS are not there. "
        "Install TAIS again: this installation is not complete"
    )


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("advbnch", "Did you mean 'advbench'?"),
        ("qqq", "Known: advbench, xstest"),
        ("../xstest", "Did you mean 'xstest'?"),
    ],
)
def test_an_unknown_battery_names_the_nearest(name: str, remedy: str) -> None:
    with pytest.raises(ManifestError) as caught:
        find_battery_file(name, Place("m.yaml", 14, "batteries[2]"))
    assert str(caught.value) == f"batteries[2] (m.yaml:14): no battery named '{name}'. {remedy}"
