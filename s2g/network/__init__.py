"""One evaluation of a network, and what is done to its blocks meanwhile. Knows nothing of guidance."""
