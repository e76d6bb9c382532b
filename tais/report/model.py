"""The report, where it was found before; it goes with the next release."""

from tais.verdict.report import *  # noqa: F403
