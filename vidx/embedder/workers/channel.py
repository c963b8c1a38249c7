"""Messages between a process and its parent, over a socket."""

from __future__ import annotations

import pickle
import socket
import struct

_PREFIX = struct.Struct("!II")  # bytes of the pickle, number of buffers
_LENGTH = struct.Struct("!Q")


class Channel:
    """Sends and receives Python values; arrays go as they lie in memory, without a copy.

    Args:
        connection: One end of a socket pair. A timeout set on it bounds each wait for bytes.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def fileno(self) -> int:
        """The socket's file descriptor, so that a channel can be waited for."""
        return self._connection.fileno()

    def send(self, message: object) -> None:
        """Send a value; waits while the other side's buffer is full.

        Args:
            message: Anything that can be pickled.

        Raises:
            OSError: The other side is gone.
        """
        buffers: list[pickle.PickleBuffer] = []
        data = pickle.dumps(message, protocol=5, buffer_callback=buffers.append)
        views = [buffer.raw() for buffer in buffers]
        lengths = b"".join(_LENGTH.pack(view.nbytes) for view in views)
        self._connection.sendall(_PREFIX.pack(len(data), len(views)) + lengths + data)
        for view in views:
            self._connection.sendall(view)

    def receive(self) -> object:
        """Wait for the next value.

        Raises:
            EOFError: The other side is gone.
            OSError: Likewise, or (TimeoutError) it has stopped in the middle of a message.
        """
        size, count = _PREFIX.unpack(self._read(_PREFIX.size))
        lengths = [_LENGTH.unpack(self._read(_LENGTH.size))[0] for _ in range(count)]
        data = self._read(size)
        # The other side is our own process, started by us or starting us.
        return pickle.loads(data, buffers=[self._read(length) for length in lengths])  # noqa: S301

    def wait_for_ever(self) -> None:
        """Bound no wait for bytes any more."""
        self._connection.settimeout(None)

    def close(self) -> None:
        """Close this end."""
        self._connection.close()

    def _read(self, length: int) -> bytearray:
        data = bytearray(length)
        view = memoryview(data)
        while view:
            count = self._connection.recv_into(view)
            if not count:
                raise EOFError
            view = view[count:]
        return data
