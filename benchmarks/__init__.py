"""How fast things are: `python -m benchmarks` measures on this machine and prints Markdown tables."""
