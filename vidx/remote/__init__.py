"""Videos at URLs: what there is, and its bytes, through fsspec. Only here: fsspec and its kin."""
