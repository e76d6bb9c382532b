"""Speculative verification algorithms, each in a file of its own, and the exact audit of their output law.

The core of TAIS never imports this package; ``tais law`` and the reference engine do. It needs torch.
"""

from __future__ import annotations

from tais.lab.verification.draft import Draft, Tree, Verifier
from tais.lab.verification.registry import VERIFIERS, Claim, Member, find_verifier
from tais.lab.verification.rng import Rng, SeededRng
from tais.lab.verification.shapes import Shape, parse_shape

__all__ = [
    "VERIFIERS",
    "Claim",
    "Draft",
    "Member",
    "Rng",
    "SeededRng",
    "Shape",
    "Tree",
    "Verifier",
    "find_verifier",
    "parse_shape",
]
