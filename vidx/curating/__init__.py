"""The questions that a dataset's keepers ask, each answered from the state of one moment."""
