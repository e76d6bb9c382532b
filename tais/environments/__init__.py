"""Environments of arms: made from requirements, looked at, listed, removed."""
