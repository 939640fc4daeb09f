"""What a run will take, before it runs: a small model with constants fitted from finished runs."""
