"""Figures from records, as SVG: each drawn once, for papers, Markdown and the report alike."""
