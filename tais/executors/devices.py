"""The GPUs of one machine, shared out among arms."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Sequence

from tais.errors import UsageError

__all__ = ["Devices", "parse_devices", "visible_devices"]


class Devices:
    """Devices by the names that CUDA_VISIBLE_DEVICES takes.

    Parameters
    ----------
    names
        Names, each once; without any there is one slot, which takes any job.
    """

    def __init__(self, names: Sequence[str] = ()) -> None:
        self.names = tuple(names)

    def __len__(self) -> int:
        """Return their number."""
        return len(self.names)

    def choose(
        self, wanted: int, busy: Collection[tuple[str, ...]], known: Iterable[tuple[str, ...]]
    ) -> tuple[str, ...] | None:
        """Return devices for a job, or None when too few are free.

        Parameters
        ----------
        wanted
            Number of devices.
        busy
            Sets that run something.
        known
            Sets that have a process already: the job takes one of them if it can, which saves an import.
        """
        if not self.names or not wanted:
            # Jobs that need no device run one by one.
            return None if () in busy else ()
        taken = {name for names in busy for name in names}
        for names in known:
            if len(names) == wanted and not taken.intersection(names):
                return names
        free = [name for name in self.names if name not in taken]
        return tuple(free[:wanted]) if len(free) >= wanted else None

    def variables(self, names: tuple[str, ...]) -> dict[str, str]:
        """Return what a process on these devices has in its environment."""
        return {"CUDA_VISIBLE_DEVICES": ",".join(names)} if self.names else {}


def parse_devices(text: str) -> tuple[str, ...]:
    """Return the devices of a list such as ``0,1,3``.

    Raises
    ------
    UsageError
        When one is empty or named twice.
    """
    names = tuple(name.strip() for name in text.split(","))
    if "" in names or len(set(names)) != len(names):
        raise UsageError(
            f"--devices {text!r} is no list of devices, each once", remedy="Write for example --devices 0,1"
        )
    return names


def visible_devices() -> tuple[str, ...]:
    """Return the GPUs that this process may use; empty where there is no choice between any."""
    listed = os.environ.get("CUDA_VISIBLE_DEVICES")
    if listed is not None:
        found = [name.strip() for name in listed.split(",") if name.strip()]
    else:
        from tais.common.machine import describe_gpus

        found = [str(index) for index in range(len(describe_gpus()))]
    # With one device the process keeps the environment that it has.
    return tuple(found) if len(found) > 1 else ()
