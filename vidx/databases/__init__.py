"""Vector databases that hold a copy of a collection's vectors, to be asked for candidates."""
