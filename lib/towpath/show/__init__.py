"""What a notebook displays: banner, tables, progress, charts.  Called by notebooks, never by surfaces."""

from towpath.show.banner import Banner
from towpath.show.charts import Allowance, bars, usage_chart
from towpath.show.markup import Shown
from towpath.show.progress import Meter, progress
from towpath.show.tables import check_table, sql_side_by_side, table

__all__ = [
    "Allowance",
    "Banner",
    "Meter",
    "Shown",
    "bars",
    "check_table",
    "progress",
    "sql_side_by_side",
    "table",
    "usage_chart",
]
