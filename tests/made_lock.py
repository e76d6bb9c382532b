"""Locks for tests that need no run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tais.rundir.lock_model import Lock

__all__ = ["made_lock"]


def made_lock(
    *contrasts: tuple[str, str],
    batteries: Sequence[Mapping[str, object]] = (),
    **keys: object,
) -> Lock:
    """Return a lock of fake arms.

    Parameters
    ----------
    contrasts
        Reference and candidate of each screened contrast.
    batteries
        What is said of each, beside a scorer and a digest.
    keys
        Whatever else the lock says.
    """
    arms = {name: {"engine": "fake", "engine_args": {}} for pair in contrasts for name in pair}
    scored = {"digest": "0" * 64, "scorer": {"name": "refusal", "version": "1"}}
    return Lock.model_validate(
        {
            "name": "made",
            "manifest": {"sha256": "0" * 64, "source": {}},
            "arms": arms,
            "contrasts": [
                {"reference": reference, "candidate": candidate, "role": "screen", "lossless": False}
                for reference, candidate in contrasts
            ],
            "batteries": [{**scored, **battery} for battery in batteries],
            "sampling": {},
            "rules": {},
            "versions": {},
            **keys,
        }
    )
