"""Pages and tables with pictures, for people: what a collection or an answer looks like."""
