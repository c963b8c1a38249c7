"""Clips cut out of videos as small files, in a process that may crash, hang or grow."""
