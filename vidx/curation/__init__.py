"""Questions asked of vectors and their neighbours: pure computing on arrays, opens no file."""
