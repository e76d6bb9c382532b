"""Figures of the page, drawn as SVG."""
