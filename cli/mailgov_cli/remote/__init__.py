"""The command line at a distance: the same commands over HTTP, and `mailgov --server` that calls them."""
