"""The one place where the leak audit imports torch and transformers."""

from __future__ import annotations

from tais.errors import UsageError

__all__ = ["torch", "transformers"]

_REMEDY = "Install them with: pip install 'tais[cpu]', or 'tais[gpu]' on a GPU machine"

try:
    import torch

    from tais.engines.vllm import hide_broken_packages

    # A torchvision built for another torch would break the import of transformers.
    hide_broken_packages()
    import transformers
except ImportError as _error:
    raise UsageError(f"tais leak needs torch and transformers ({_error})", remedy=_REMEDY) from _error
