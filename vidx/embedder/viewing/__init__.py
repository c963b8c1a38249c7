"""Clips for people to look at: pictures and short films, made in processes of their own."""
