"""What a run tells beside its history: where it plans to end, its phases, other series, layers."""
