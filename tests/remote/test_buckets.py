"""Objects in a bucket: a large file is sent in parts, each until it is there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_servers import FaultyWay

from vidx.errors import VidxError
from vidx.remote import buckets
from vidx.remote.buckets import Bucket

PART_BYTES = 5 << 20  # the least that a server takes
SIZES = (0, 1, PART_BYTES, PART_BYTES + 1, 3 * PART_BYTES)
pytestmark = pytest.mark.usefixtures("s3", "short_waits")


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Bucket:
    monkeypatch.setattr(buckets, "PART_BYTES", PART_BYTES)
    return Bucket("s3://films/kept")


def drawn(path: Path, size: int) -> bytes:
    content = np.random.default_rng(size).bytes(size)
    path.write_bytes(content)
    return content


def stored(s3: Any, name: str) -> bytes:
    return bytes(s3.get_object(Bucket="films", Key=f"kept/{name}")["Body"].read())


@pytest.mark.parametrize("size", SIZES)
def test_a_file_of_any_size_arrives(bucket: Bucket, s3: Any, tmp_path: Path, size: int) -> None:
    content = drawn(tmp_path / "file", size)
    bucket.send("a", tmp_path / "file")
    assert stored(s3, "a") == content


@pytest.mark.parametrize("fault", ["fails_every", "loses_every"])
@pytest.mark.parametrize("every", [2, 3, 5])
def test_parts_that_fail_are_sent_again(
    bucket: Bucket, s3: Any, s3_way: FaultyWay, tmp_path: Path, fault: str, every: int
) -> None:
    setattr(s3_way, fault, every)
    content = drawn(tmp_path / "file", 3 * PART_BYTES + 7)
    bucket.send("a", tmp_path / "file")
    assert s3_way.faults
    assert stored(s3, "a") == content


def test_what_is_not_taken_is_told_and_leaves_no_parts(
    bucket: Bucket, s3: Any, s3_way: FaultyWay, tmp_path: Path
) -> None:
    drawn(tmp_path / "file", 2 * PART_BYTES)
    s3_way.statuses["PUT"] = 403
    with pytest.raises(VidxError, match="403 Forbidden"):
        bucket.send("a", tmp_path / "file")
    assert "Uploads" not in s3.list_multipart_uploads(Bucket="films")
    assert "Contents" not in s3.list_objects_v2(Bucket="films")
