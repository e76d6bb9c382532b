"""Reuse of arms: an arm that ran already, addressed by the digest of all that determines its answers.

A cache must never make two arms identical by construction: see :mod:`tais.cache.reuse`.
"""
