"""Rows on disk: Parquet shards, the SQL catalogue, and the protocol that commits both together.

Nothing heavy is imported with this package: pyarrow and SQLAlchemy come with its modules.
"""
