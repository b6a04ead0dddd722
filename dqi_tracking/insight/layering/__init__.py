"""Layers of a network by the names a run logs: which there are, in what order, how strong."""
