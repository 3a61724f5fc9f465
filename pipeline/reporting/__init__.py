"""Tables and figures, made from the evaluate stage's files alone; the report on faces, from the crop stores."""

from pipeline.reporting.report import write_report

__all__ = ["write_report"]
