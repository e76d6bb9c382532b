"""An arm's settings tried on the reference engine without its models."""

from __future__ import annotations

from tais.engines.base import ConfigurationRefusal, EngineRefusal
from tais.lab.reference.engine import ReferenceEngine
from tais.manifest.model import Arm

__all__ = ["check_configuration"]


def check_configuration(arm: Arm) -> None:
    """Refuse settings that need no model to be wrong.

    Raises
    ------
    ConfigurationRefusal
        Naming the key.
    """
    try:
        ReferenceEngine().configure(arm)
    except EngineRefusal as error:
        said = str(error)
        path = (
            "speculative_config" if arm.speculative_config and "speculative_config" in said else "engine_args"
        )
        raise ConfigurationRefusal(said, (path,)) from error
    # Loads torch, which is there by now.
    import torch

    if arm.dtype not in (None, "auto") and not isinstance(getattr(torch, arm.dtype, None), torch.dtype):
        raise ConfigurationRefusal(
            f"torch has no dtype {arm.dtype!r}", ("dtype",), "Such as float32 or bfloat16"
        )
