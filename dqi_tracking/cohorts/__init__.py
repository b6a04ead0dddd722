"""Which runs are compared with which, by what the listing tells, saved populations, and curves."""
