"""Ways to pick highly variable genes, one module each."""
