"""What a learning-rate series tells of a run's plan: the series, its shape, its words."""
