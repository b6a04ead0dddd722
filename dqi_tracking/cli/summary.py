"""What a pass over many runs prints when it ends: counts, failures, one sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dqi_tracking.cli.exits import ExitCode, Stop
from dqi_tracking.cli.options import Format
from dqi_tracking.cli.output import complain, say, talk
from dqi_tracking.cli.table import print_table

if TYPE_CHECKING:
    from dqi_tracking.backfill.report import Report
    from dqi_tracking.types import Outcomes

MAX_FAILURES_SHOWN = 20


def print_report(
    report: Report, form: Format, done: Outcomes = "scored", *, nothing: str = "no runs found"
) -> None:
    """Print what a pass did: the counts, the first failures, and one sentence.

    Parameters
    ----------
    report : Report
    form : Format
        The table has the counts; other forms have had their rows.
    done : str
        The outcome that the pass is for.
    nothing : str
        The sentence where there was no run.
    """
    if form is Format.TABLE and report.reasons:
        print_table(
            [
                {"outcome": outcome, "reason": reason, "runs": count}
                for (outcome, reason), count in sorted(report.reasons.items())
            ],
            ("outcome", "reason", "runs"),
        )
    print_failures(report)
    (say if form is Format.TABLE else talk)(sentence(report, done, nothing))
    told = standings_sentence(report)
    if told:
        (say if form is Format.TABLE else talk)(told)


def print_failures(report: Report) -> None:
    """Print the first failed runs of a pass, and what to do about each."""
    for failure in report.failures[:MAX_FAILURES_SHOWN]:
        complain(f"{failure.ref.run_id} ({failure.ref.name}): {failure.reason}", failure.fix)
    if report.standings and report.standings.n_failed:
        n_failed, reason = report.standings.n_failed, report.standings.reason
        runs = "run" if n_failed == 1 else "runs"
        complain(f"percentiles of {n_failed:,} {runs} not written: {reason}", report.standings.fix)
    hidden = report.counts["failed"] - MAX_FAILURES_SHOWN
    if hidden > 0:
        talk(f"… and {hidden:,} more failed; --json lists all")


def exit_code(report: Report, stop: Stop) -> ExitCode:
    """Return what a pass tells its caller."""
    if report.stopped:
        return stop.code
    is_part = report.counts["failed"] or (report.standings and report.standings.n_failed)
    return ExitCode.SOME_FAILED if is_part else ExitCode.DONE


def standings_sentence(report: Report) -> str:
    """Return what came of ranking the runs; empty where there is nothing new to say."""
    found = report.standings
    if found is None or found.n_failed:
        # what failed stands among the failures
        return ""
    if found.n_ranked:
        cohorts = "1 cohort" if found.n_cohorts == 1 else f"{found.n_cohorts:,} cohorts"
        told = f"percentiles: {found.n_ranked:,} runs in {cohorts}, written on {found.n_written:,}"
        return told if found.n_written else ""
    if found.n_written:
        return f"no percentiles: {found.reason}; taken off {found.n_written:,} runs"
    # once, not at every pass that has nothing to do
    return f"no percentiles: {found.reason}" if found.reason and report.counts["scored"] else ""


def sentence(report: Report, done: Outcomes = "scored", nothing: str = "no runs found") -> str:
    """Return what a pass did in one sentence."""
    n_done = report.counts[done]
    took = f"in {report.seconds:.1f} s"
    if report.stopped:
        return f"stopped: {n_done:,} {done}, {report.n_left:,} left for the next pass ({took})"
    if not report.n_found:
        return nothing
    if not n_done and not report.counts["failed"]:
        return f"nothing left to do: {report.n_found:,} runs, {took}"
    verb = f"would be {done} (dry run: nothing was written)" if report.dry_run else done
    return f"{n_done:,} of {report.n_found:,} runs {verb} {took}"
