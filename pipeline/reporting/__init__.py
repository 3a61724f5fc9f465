"""Tables, figures and page from the results of the evaluate stage, and the report on faces from the crop stores."""

from pipeline.reporting.report import write_report

__all__ = ["write_report"]
