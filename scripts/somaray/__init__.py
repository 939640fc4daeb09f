"""somaray: where time and memory go when Scanpy picks highly variable genes out of core."""
