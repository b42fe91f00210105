"""Random access to the bytes of one file, in memory or on disk, with every read checked against the size."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from types import TracebackType
from typing import BinaryIO

from barrow_wheel.errors import FormatError
from barrow_wheel.readers import limits


class Blob:
    """The bytes of one file. Reads outside of it raise FormatError, so a lying offset cannot pass unseen."""

    def __init__(self, data: bytes | None, file: BinaryIO | None, size: int, base: int = 0) -> None:
        self._data = data
        self._file = file
        self._base = base
        self.size = size

    @classmethod
    def of_bytes(cls, data: bytes) -> Blob:
        return cls(data, None, len(data))

    @classmethod
    def of_stream(cls, chunks: Iterator[bytes], size: int) -> Blob:
        """Takes a stream of about `size` bytes; a large one goes to a temporary file without a name."""
        if size <= limits.IN_MEMORY_BYTES:
            return cls.of_bytes(b"".join(chunks))
        spool = tempfile.TemporaryFile()  # noqa: SIM115 - closed by close()
        try:
            for chunk in chunks:
                spool.write(chunk)
            spool.flush()
            return cls(None, spool, spool.tell())
        except BaseException:
            spool.close()
            raise

    def window(self, offset: int) -> Blob:
        """The bytes from `offset` on as a file of its own, sharing the storage of this one."""
        return Blob(self._data, self._file, self.size - offset, self._base + offset)

    def __enter__(self) -> Blob:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()

    def read(self, offset: int, size: int) -> bytes:
        """Exactly `size` bytes from `offset`."""
        if offset < 0 or size < 0 or offset + size > self.size:
            raise FormatError(f"needs bytes {offset}..{offset + size}, but the file has {self.size}")
        offset += self._base
        if self._data is not None:
            return self._data[offset : offset + size]
        assert self._file is not None
        parts: list[bytes] = []
        while size:
            part = os.pread(self._file.fileno(), size, offset)
            if not part:
                raise FormatError(f"ends at byte {offset - self._base} while being read")
            parts.append(part)
            offset += len(part)
            size -= len(part)
        return b"".join(parts)

    def read_some(self, offset: int, size: int) -> bytes:
        """Up to `size` bytes from `offset`, fewer at the end."""
        offset = min(max(offset, 0), self.size)
        return self.read(offset, min(size, self.size - offset))

    def find(self, needle: bytes, start: int = 0, end: int | None = None) -> int:
        """The first offset of `needle` inside [start, end), -1 when there is none."""
        return next(self.find_all(needle, start, end), -1)

    def find_all(self, needle: bytes, start: int = 0, end: int | None = None) -> Iterator[int]:
        """Offsets of `needle` inside [start, end), in order."""
        end = self.size if end is None else min(end, self.size)
        overlap = len(needle) - 1
        offset = start
        if self._data is not None:
            # No copies: a kernel cache is searched from thousands of places.
            at = self._data.find(needle, self._base + start, self._base + end)
            while at >= 0:
                yield at - self._base
                at = self._data.find(needle, at + 1, self._base + end)
            return
        while offset < end:
            chunk = self.read_some(offset, min(limits.CHUNK_BYTES + overlap, end - offset))
            at = chunk.find(needle)
            while at >= 0:
                yield offset + at
                at = chunk.find(needle, at + 1)
            if offset + len(chunk) >= end:
                return
            offset += len(chunk) - overlap
