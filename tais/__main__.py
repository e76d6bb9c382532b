"""Run TAIS as ``python -m tais``."""

from tais.cli.main import main

main()
