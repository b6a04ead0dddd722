"""Learning weights of the phases: what `weights` is made of."""
