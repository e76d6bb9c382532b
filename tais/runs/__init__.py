"""The verbs: run, derive, compare, audit, adjudicate."""
