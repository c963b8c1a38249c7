"""`where`: expressions that say which clips are meant, from their text to ids.

`reading` alone needs sqlglot, which takes a tenth of a second to import: only who has a text does.
"""
