"""Drafts made to be suspicious: tuned to comply, or cut to four bits; a screen must hold for any draft."""
