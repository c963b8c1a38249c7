"""The encoder at work: the same numbers as `videomae`, as fast as the device allows."""
