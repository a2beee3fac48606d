"""Numbers for auditors: each from the ledger and the directory, each with its definition.

A report is a module with `DEFINITION` and `rows`; this list is where both faces find it.
"""

from mailgov.reports import active_use, coverage, documents, violations
from mailgov.reports.engine import Report, Result, run_report

REPORTS: dict[str, Report] = {
    report.definition.key: report
    for report in (coverage.REPORT, active_use.REPORT, documents.REPORT, violations.REPORT)
}

__all__ = ["REPORTS", "Report", "Result", "run_report"]
