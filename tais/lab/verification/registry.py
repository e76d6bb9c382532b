"""The verification algorithms by name, with what each claims."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from enum import StrEnum

from tais.common.document import suggest
from tais.errors import UsageError
from tais.lab.verification.draft import Verifier
from tais.lab.verification.shapes import KINDS, Shape

__all__ = ["VERIFIERS", "Claim", "Member", "find_verifier"]


class Claim(StrEnum):
    """Whose law the output has."""

    lossless = "lossless"
    """The target's."""
    greedy = "greedy"
    """The target's at temperature 0 only."""
    lossy = "lossy"
    """Not the target's, and not meant to be."""


_PATHS = ("chain", "paths", "delayed", "entropy")
_INDEPENDENT = (*_PATHS, "tree")
_RANDOM = (*_INDEPENDENT, "distinct")


@dataclass(frozen=True, slots=True)
class Member:
    """A verification algorithm.

    Attributes
    ----------
    name
        As ``method`` of an arm and ``--verifier`` take it.
    module, function
        Where it is.
    claim
        What its output law is to be.
    kinds
        Shapes of draft for which the claim holds; others are refused.
    source
        arXiv id.
    single
        Whether it looks at the first path only.
    """

    name: str
    module: str
    claim: Claim
    kinds: tuple[str, ...]
    source: str
    function: str = "verify"
    single: bool = False

    def load(self) -> Verifier:
        """Import the algorithm."""
        found: Verifier = getattr(
            importlib.import_module(f"tais.lab.verification.{self.module}"), self.function
        )
        return found

    def supports(self, shape: Shape) -> bool:
        """Return whether the claim covers drafts of this shape."""
        return shape.kind in self.kinds


VERIFIERS: dict[str, Member] = {
    member.name: member
    for member in (
        Member("token", "token", Claim.lossless, _RANDOM, "2211.17192", single=True),
        Member("block", "block", Claim.lossless, _RANDOM, "2403.10444", single=True),
        Member("nss", "nss", Claim.lossless, KINDS, "2305.09781"),
        Member("naive", "naive", Claim.lossless, _RANDOM, "2211.17192"),
        Member("specinfer", "specinfer", Claim.lossless, _INDEPENDENT, "2305.09781"),
        Member("recursive", "recursive", Claim.lossless, _RANDOM, "2402.14160"),
        Member("kseq", "kseq", Claim.lossless, _INDEPENDENT, "2310.15141"),
        Member("khisti", "khisti", Claim.lossless, _INDEPENDENT, "2410.18234"),
        Member("khisti_lp", "khisti", Claim.lossless, _INDEPENDENT, "2410.18234", "verify_all_pairs"),
        Member("traversal", "traversal", Claim.lossless, _RANDOM, "2505.12398"),
        Member("gbv", "greedy_multipath", Claim.lossless, _PATHS, "2602.16961"),
        Member("deterministic", "deterministic", Claim.lossless, KINDS, "2401.15077"),
        Member("greedy", "greedy", Claim.greedy, KINDS, "2211.17192"),
        Member("typical", "typical", Claim.lossy, KINDS, "2401.10774"),
        Member("fly", "fly", Claim.lossy, KINDS, "2511.22972", single=True),
        Member("accept_all", "accept_all", Claim.lossy, KINDS, "2401.10774", single=True),
    )
}
"""Every algorithm by name."""


def find_verifier(name: str) -> Member:
    """Return the algorithm of that name.

    Raises
    ------
    UsageError
        Naming the nearest one.
    """
    if name not in VERIFIERS:
        remedy = suggest(name, VERIFIERS, "Verifiers")
        raise UsageError(f"no verifier named {name!r}", remedy=remedy)
    return VERIFIERS[name]
