"""What a notebook displays: banner, tables, progress, charts.  Called by notebooks, never by surfaces."""

from towpath.show.banner import Banner
from towpath.show.charts import Allowance, bars, ecdf, usage_chart
from towpath.show.live import Live
from towpath.show.markup import Shown
from towpath.show.progress import Meter, progress
from towpath.show.tables import check_table, sql_side_by_side, table
from towpath.show.timeline import Moment, requests_over_time

__all__ = [
    "Allowance",
    "Banner",
    "Live",
    "Meter",
    "Moment",
    "Shown",
    "bars",
    "check_table",
    "ecdf",
    "progress",
    "requests_over_time",
    "sql_side_by_side",
    "table",
    "usage_chart",
]
