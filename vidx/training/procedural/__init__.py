"""Procedural videos: labelled motion of drawn objects, for training and for tests."""
