"""Logs of other tools as answers with what was asked; one module per tool, and the table of them all."""
