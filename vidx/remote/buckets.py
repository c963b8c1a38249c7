"""Objects in a bucket: listed, read, and written so that no writer overwrites another."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from http import HTTPStatus
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

from vidx.errors import VideoError, VidxError
from vidx.remote.file_systems import file_system
from vidx.remote.objects import RemoteFile
from vidx.remote.reading import Reading
from vidx.remote.troubles import Absent, no_tick, retried, status_of

PART_BYTES = 8 << 20  # of one request, where a large file is sent
PARTS_AT_ONCE = 4  # requests, of which each has its part in memory
_AGAIN = "Nothing that was committed is lost: run the same command again once that is mended."
_NO_BUCKET = "NoSuchBucket"


class Bucket:
    """What lies below one prefix.

    Args:
        address: `s3://bucket/prefix`, as `urls.checked` gives it, without a slash at the end.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        self._bucket, _, self._prefix = address.partition("://")[2].partition("/")

    def listed(self, folder: str, after: str = "") -> dict[str, int]:
        """The objects of a folder and their sizes in bytes, in the order of their names.

        Args:
            folder: Ends with a slash; empty: all there are.
            after: Only those whose names come after this one.

        Raises:
            VidxError: The server does not tell.
        """
        beginning = f"{self._prefix}/"
        asked = {"Bucket": self._bucket, "Prefix": beginning + folder}
        if after:
            asked["StartAfter"] = beginning + after
        found: dict[str, int] = {}
        with self._telling():
            while True:
                page = self._ask("list_objects_v2", **asked)
                for one in page.get("Contents", ()):
                    found[one["Key"].removeprefix(beginning)] = int(one["Size"])
                if not page.get("IsTruncated"):
                    return found
                asked["ContinuationToken"] = page["NextContinuationToken"]

    def read(self, name: str) -> bytes | None:
        """A small object's bytes; None where there is none.

        Raises:
            VidxError: The server does not give it, or there is no such bucket.
        """
        with self._telling():
            try:
                return bytes(retried(lambda: self._system().cat_file(self._url(name)), no_tick))
            except Absent as error:
                if _NO_BUCKET in error.message:
                    raise
                return None

    def fetch(self, name: str, size_bytes: int, file: BinaryIO) -> str:
        """Copy an object into a file.

        Args:
            name: The object's.
            size_bytes: How large it is.
            file: To be written.

        Returns:
            SHA-256 of the bytes, in hex.

        Raises:
            VidxError: They cannot be had.
            OSError: The file cannot be written.
        """
        digest = hashlib.sha256()
        with self._telling():
            for piece in Reading(RemoteFile(self._url(name), size_bytes, ""), no_tick).whole():
                digest.update(piece)
                file.write(piece)
        return digest.hexdigest()

    def send(self, name: str, file: Path) -> None:
        """Copy a file into an object whose name nobody else uses.

        Raises:
            VidxError: The server does not take it.
            OSError: The file cannot be read.
        """
        size = file.stat().st_size
        with self._telling(), file.open("rb") as content:
            if size > PART_BYTES:
                self._send_parts(name, content, size)
            else:
                whole = content.read()
                self._ask("put_object", **self._object(name), Body=whole)

    def put_new(self, name: str, content: bytes) -> bool:
        """Write a small object if there is none of that name, at one stroke for all who try.

        Args:
            name: The object's.
            content: Its bytes, unlike those of any other writer.

        Returns:
            Whether the object is this one. Where an answer was lost it is read back.

        Raises:
            VidxError: The server does not take it; or it does not tell whether it did.
        """
        try:
            with self._telling():
                if retried(lambda: self._put_new(name, content), no_tick):
                    return True
        except VidxError:
            if self.read(name) != content:
                raise
            return True
        return self.read(name) == content  # an answer that was lost, and then asked again

    def delete(self, name: str) -> None:
        """Delete an object.

        Raises:
            VidxError: The server does not do it.
        """
        with self._telling():
            self._ask("delete_object", **self._object(name))

    def _send_parts(self, name: str, content: BinaryIO, size_bytes: int) -> None:
        """Send a large file in parts, each of which is sent until it is there."""
        asked = self._object(name)
        asked["UploadId"] = self._ask("create_multipart_upload", **asked)["UploadId"]
        pieces = enumerate(iter(lambda: content.read(PART_BYTES), b""), 1)

        def send(piece: tuple[int, bytes]) -> dict[str, Any]:
            number, body = piece
            came = self._ask("upload_part", **asked, PartNumber=number, Body=body)
            return {"PartNumber": number, "ETag": came["ETag"]}

        try:
            parts: list[dict[str, Any]] = []
            with ThreadPoolExecutor(PARTS_AT_ONCE) as threads:
                while some := list(islice(pieces, PARTS_AT_ONCE)):
                    parts += threads.map(send, some)
            self._ask("complete_multipart_upload", **asked, MultipartUpload={"Parts": parts})
        except BaseException as error:
            if isinstance(error, Absent) and self._size(name) == size_bytes:
                return  # it was complete, and the answer lost
            with suppress(VideoError):
                self._ask("abort_multipart_upload", **asked)
            raise

    def _size(self, name: str) -> int | None:
        """How large an object is; None where there is none."""
        try:
            return int(self._ask("head_object", **self._object(name))["ContentLength"])
        except Absent:
            return None

    def _put_new(self, name: str, content: bytes) -> bool:
        try:
            self._call("put_object", **self._object(name), Body=content, IfNoneMatch="*")
        except Exception as error:
            status = status_of(error)
            if status == HTTPStatus.PRECONDITION_FAILED:
                return False
            if status == HTTPStatus.CONFLICT:  # another is at it: which of the two, is not known
                raise ConnectionError(None, "another request writes the same object") from None
            raise
        return True

    def _ask(self, method: str, **asked: Any) -> Any:
        return retried(lambda: self._call(method, **asked), no_tick)

    def _call(self, method: str, **asked: Any) -> Any:
        return self._system().call_s3(method, **asked)

    def _system(self) -> Any:
        return file_system(self.address)

    def _object(self, name: str) -> dict[str, Any]:
        return {"Bucket": self._bucket, "Key": f"{self._prefix}/{name}"}

    def _url(self, name: str) -> str:
        return f"{self.address}/{name}"

    @contextmanager
    def _telling(self) -> Iterator[None]:
        """Tell of a server's trouble as the collection's."""
        try:
            yield
        except VideoError as error:
            raise VidxError(f"{self.address}: {error.message}", _AGAIN) from None
