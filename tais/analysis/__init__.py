"""From a run directory to evidence, and on to a report with items, second scorers and people."""
