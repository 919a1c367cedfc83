"""Pictures and self-contained HTML pages of one case or of a cohort."""

from typing import TYPE_CHECKING

from TomoRayLib.base.lazy_names import lazy_face

if TYPE_CHECKING:
    from TomoRayLib.report.case_page import render_report as render_report
    from TomoRayLib.report.case_page import write_report as write_report
    from TomoRayLib.report.cohort_tables import write_tables as write_tables
    from TomoRayLib.report.content import ReportContent as ReportContent
    from TomoRayLib.report.overview import overview_figure as overview_figure

__all__, __getattr__, __dir__ = lazy_face(
    __name__,
    {
        "case_page": ["render_report", "write_report"],
        "cohort_tables": ["write_tables"],
        "content": ["ReportContent"],
        "overview": ["overview_figure"],
    },
)
