"""Accept whatever the draft proposes."""

from __future__ import annotations

from tests.engines.faults.rule import install

install(lambda token, logits: True)


class Extension:
    """Named by ``worker_extension_cls``; importing it does the work."""
