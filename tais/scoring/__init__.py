"""Answers become scores; judges are asked."""
