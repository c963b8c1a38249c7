"""The same embedding on the nodes of a Ray cluster; only here: ray."""
