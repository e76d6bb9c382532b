"""The version of TAIS, where every room may read it: importing `tais` itself would lead to the public API."""

__all__ = ["__version__"]

__version__ = "0.1.0"
