"""Fuzzing: mutated inputs for every parser that reads what others write. `python -m tests.fuzz` runs it for long."""
