"""The one place where leak audit and drafts import torch, transformers, trl and compressed-tensors.

torch and transformers are attributes of this module and load when they are first asked for, so that a
command can say what is missing before anything of theirs is imported.
"""

from __future__ import annotations

import importlib
import importlib.util
from types import ModuleType
from typing import TYPE_CHECKING

from tais.common.foreign import hide_broken_packages
from tais.common.install import pip_install
from tais.common.text import first_line
from tais.errors import TaisError, UsageError

if TYPE_CHECKING:
    import torch as torch
    import transformers as transformers

__all__ = ["need", "need_torch", "torch", "transformers"]

_REMEDY = f"Install them with: {pip_install('cpu', on_gpu='gpu')}"
_REMEDY_DRAFTS = f"Install it with: {pip_install('drafts')}"


def __getattr__(name: str) -> ModuleType:
    if name not in ("torch", "transformers"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        # A torchvision built for another torch would break the import of transformers.
        hide_broken_packages()
        for package in ("torch", "transformers"):
            globals()[package] = importlib.import_module(package)
    except ImportError as error:
        raise UsageError(f"this command needs torch and transformers ({error})", remedy=_REMEDY) from error
    module: ModuleType = globals()[name]
    return module


def need(name: str, remedy: str = _REMEDY_DRAFTS) -> ModuleType:
    """Import a package that only some commands of the lab need.

    Raises
    ------
    UsageError
        When it is not installed, or does not load beside what is.
    """
    try:
        return importlib.import_module(name)
    except (ImportError, RuntimeError) as error:
        what = first_line(error)
        raise UsageError(f"this needs {name} ({what})", remedy=remedy) from error


def need_torch() -> None:
    """Say in one line what is missing where torch is.

    Raises
    ------
    TaisError
        When it is not installed.
    """
    if importlib.util.find_spec("torch") is None:
        raise TaisError("tais law needs torch", remedy=f"Install it with: {pip_install('cpu')}")
