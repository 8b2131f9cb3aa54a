"""The report of a study: tables, figures, advice and one page."""
