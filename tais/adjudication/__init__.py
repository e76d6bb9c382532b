"""What people say about the answers that a scorer judged differently: asked blind, counted, and cited.

People never decide a screen: the verdict stays that of the scorers. Their labels say how far to trust it.
"""
