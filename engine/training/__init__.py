"""The training loop, its steps, and what it minimizes."""
