"""What counts as a URL, and what troubles are told as."""

from __future__ import annotations

import pytest

from vidx import UsageError
from vidx.remote.urls import checked


@pytest.mark.parametrize(
    "url", ["s3://bucket/a@b#c?d.mp4", "https://host:81/a%20b.mp4", "gs://bucket/*.mp4", "s3://b"]
)
def test_what_names_a_place_is_kept_as_it_is(url: str) -> None:
    assert checked(url) == url


def test_schemes_are_known_in_any_case() -> None:
    assert checked("HTTPS://Host/X.mp4") == "https://Host/X.mp4"


@pytest.mark.parametrize(
    "url", ["file:///x.mp4", "ftp://host/x.mp4", "s3://", "https:///", "http://[x"]
)
def test_what_is_not_read_is_refused_with_what_is(url: str) -> None:
    with pytest.raises(UsageError, match="Name a"):
        checked(url)


def test_what_does_not_pass_is_not_asked_again() -> None:
    from vidx.errors import VideoError
    from vidx.remote.troubles import retried

    asked = []

    def ask() -> None:
        asked.append(1)
        raise KeyError("name")

    with pytest.raises(VideoError):
        retried(ask, lambda: None)
    assert len(asked) == 1
