"""Faults for tests: verification rules that let other tokens through, patched into a real engine's worker.

vLLM imports the class that ``worker_extension_cls`` names, in the worker of that arm alone; importing one of
these modules puts its rule in the place of vLLM's.
"""
