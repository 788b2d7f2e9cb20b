"""The training loop: views, steps, state, validation and the report of a run."""
