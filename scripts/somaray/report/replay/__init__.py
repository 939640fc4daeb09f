"""A run as a clip: its tasks, memory and phases as they came, drawn from what was taken down of it."""
