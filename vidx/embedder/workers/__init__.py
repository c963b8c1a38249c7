"""Child processes: a handle on one, and the messages to and from it."""
