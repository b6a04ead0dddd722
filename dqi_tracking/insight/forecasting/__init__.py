"""The parts of the loss forecast, one idea a file; `insight.forecast` is the door."""
