"""Datasets: synthetic ones drawn, files ingested, experiments located; and how runs open them."""
