"""Results as people read them: tables, grids, pages."""
