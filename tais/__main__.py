"""Run TAIS as ``python -m tais``."""

import os
import sys

# `python -m` puts the working directory first: a ctypes.py that lies there would be imported instead.
if not sys.flags.safe_path and sys.path and sys.path[0] in ("", os.getcwd()):  # noqa: PTH109
    del sys.path[0]

from tais.cli.main import main

main()
