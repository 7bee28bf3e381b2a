"""What the figures of a document are, in words for its readers."""

from nadtui.runs.digest import Report

FIGURES = (
    "Percentages. ACC is over all test images; ASR (triggered images sent to the attacker's class), RA (triggered "
    "images given their true class) and base (sent there without a trigger) over those of other classes. "
    "Intervals are 95 % Wilson intervals, figures those of the last epoch."
)


SHADOW = (
    "Shadow ASR: clean images that a patch, made up for the suspect without the attacker's trigger, sends to the class "
    "that it is led to most easily."
)


def figures(report: Report) -> str:
    """The same of one run, and why some of its figures do not exist."""
    shadow = [SHADOW] if report.view.proxies is not None else []
    return " ".join([FIGURES, *shadow, *report.missing()])


COMPARISON = (
    "Percentages, but for seconds; in parentheses the difference to A; mean ± sample standard deviation over runs that "
    "differ by their seeds alone."
)
