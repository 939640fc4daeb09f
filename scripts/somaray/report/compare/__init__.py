"""Two sets of results held against each other: what became slower, larger or different, and what is noise."""
