"""Run a command; print the seconds that it took and its peak memory in MB.

A process of its own, as the peak of a child starts at the memory of whoever starts it.
"""

from __future__ import annotations

import os
import sys
import time

start = time.perf_counter()
quiet = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
child = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ, file_actions=quiet)
_, status, usage = os.wait4(child, 0)
print(time.perf_counter() - start, usage.ru_maxrss / 1024)  # noqa: T201
sys.exit(os.waitstatus_to_exitcode(status))
