"""Hidden-state leak audit: what a host that receives a model's hidden states can read of the prompt.

A privacy finding, apart from the invariance verdict; nothing outside this folder but its command imports it.
"""
