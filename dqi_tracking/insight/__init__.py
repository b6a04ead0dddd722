"""What a run says beyond its score: arrays in, a dataclass out, no tracker in between."""
