"""A store for each tracker, so that one suite of tests runs unchanged over all of them.

A `Harness` puts runs in and looks at them from outside: never through the code under test.
"""
