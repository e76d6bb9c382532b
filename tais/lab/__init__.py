"""Extensions. The core never imports them; engines, faults and rules of the lab are found by name."""
