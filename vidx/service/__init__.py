"""A collection as a service: an API for programs, and a page for people. Only here: fastapi."""
