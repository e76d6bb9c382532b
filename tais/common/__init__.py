"""What is no part of the subject: files, JSON lines, YAML, templates, text hygiene, the machine."""
