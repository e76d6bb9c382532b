"""The one place where leak audit and drafts import torch, transformers, trl and compressed-tensors."""

from __future__ import annotations

import importlib
from typing import Any

from tais.errors import UsageError

__all__ = ["need", "torch", "transformers"]

_REMEDY = "Install them with: pip install 'tais[cpu]', or 'tais[gpu]' on a GPU machine"
_REMEDY_DRAFTS = "Install it with: pip install 'tais[drafts]'"

try:
    import torch

    from tais.common.foreign import hide_broken_packages

    # A torchvision built for another torch would break the import of transformers.
    hide_broken_packages()
    import transformers
except ImportError as _error:
    raise UsageError(f"this command needs torch and transformers ({_error})", remedy=_REMEDY) from _error


def need(name: str) -> Any:
    """Import a package that only some drafts need.

    Raises
    ------
    UsageError
        When it is not installed, or does not load beside what is.
    """
    try:
        return importlib.import_module(name)
    except (ImportError, RuntimeError) as error:
        what = str(error).splitlines()[0]
        raise UsageError(f"this draft needs {name} ({what})", remedy=_REMEDY_DRAFTS) from error
