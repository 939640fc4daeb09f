"""The report: one HTML file that requests nothing, with files beside it for the runs of a large matrix."""
