"""TAIS: screens whether a change to an LLM serving stack changed its safety-scored behaviour."""

__version__ = "0.1.0"
