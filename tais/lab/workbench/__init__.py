"""Verification algorithms measured: throughput, block efficiency, the selector and its training."""
