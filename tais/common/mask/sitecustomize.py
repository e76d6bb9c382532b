"""Hides packages that cannot be imported from every Python that an engine starts.

The folder of this file goes to the front of PYTHONPATH only when something must be hidden; the
user's own sitecustomize, if there is one further on the path, still runs.
"""

import os
import sys
from importlib.machinery import PathFinder

for _name in filter(None, os.environ.get("TAIS_HIDDEN_PACKAGES", "").split(",")):
    # None in sys.modules makes `import` raise and find_spec answer "not installed".
    sys.modules[_name] = None  # type: ignore[assignment]

_here = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120
_spec = PathFinder.find_spec("sitecustomize", [p for p in sys.path if os.path.abspath(p) != _here])  # noqa: PTH100
if _spec is not None and _spec.loader is not None and _spec.origin != __file__:
    from importlib.util import module_from_spec

    _spec.loader.exec_module(module_from_spec(_spec))
