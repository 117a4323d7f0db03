"""The report of an evaluation: one page with tables, charts and sounds."""
