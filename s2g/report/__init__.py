"""Present results: tables, plots, drawings, galleries and HTML pages."""
