"""The parts of a validation: ranks, models, shuffles, counter-tests and controls."""
