"""Any images against any folder of reference images (bench=folder, s2g score-folder)."""
