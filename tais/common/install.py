"""How TAIS and its extras are installed, in one place: every remedy and every page says the same.

It is on no package index, and whatever has its name there is somebody else's. So the command installs from a
checkout of the repository, which is at the commit that its user chose.
"""

from __future__ import annotations

__all__ = ["SOURCE", "pip_install"]

SOURCE = "."
"""What pip is given in the place of a name: a published TAIS would have its name here."""


def pip_install(extra: str, on_gpu: str | None = None) -> str:
    """Return the command that installs an extra.

    Parameters
    ----------
    extra
        Of `project.optional-dependencies`.
    on_gpu
        The extra that takes its place on a machine with a GPU.
    """
    there = f" ('{SOURCE}[{on_gpu}]' on a GPU machine)" if on_gpu else ""
    return f"pip install '{SOURCE}[{extra}]'{there} in a checkout of TAIS"
