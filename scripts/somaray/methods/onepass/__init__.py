"""The parts of method `one-pass`: reading X in bands, accumulating by gene, Scanpy's own tables on the sums."""
