"""What a run will cost, and what it did cost: rates, a schedule, and both side by side."""
