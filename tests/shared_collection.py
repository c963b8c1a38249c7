"""The collection in a bucket that tests share among machines."""

from __future__ import annotations

from collections.abc import Callable

from vidx.store.layout import Layout

BUCKET, NAME = "films", "kept/cats"  # the bucket is there
ADDRESS = f"s3://{BUCKET}/{NAME}"
On = Callable[[str], Layout]
