"""One writer per store: a lock of the operating system that vanishes with its holder, kill -9 included."""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path
from typing import Self

from seqscale.errors import StoreError


class WriterLock:
    """Held from `WriterLock.take` to `release`.

    The lock is `flock` on `<store>-lock`, not on the store itself: closing a second descriptor of the store would drop
    SQLite's own locks. The descriptor is closed in programs that this process starts (exec), so that a worker that
    outlives a killed driver does not keep the store; a bare fork would keep it.
    """

    def __init__(self, path: Path, descriptor: int) -> None:
        self._path = path
        self._descriptor = descriptor

    @classmethod
    def take(cls, store: Path) -> Self:
        """Lock `store` for this process, or raise StoreError naming the process that has it."""
        real = store.resolve()  # two links to one store are one store
        path = real.with_name(real.name + "-lock")
        while True:
            try:
                descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
            except OSError as error:
                raise StoreError(
                    f"{store} cannot be written, because {path.name} cannot be made beside it ({error.strerror}): "
                    "make the directory writable, or name another file with --store."
                ) from error
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if not _is_still(path, descriptor):  # the holder before us removed it after we had opened it
                    os.close(descriptor)
                    continue
                os.ftruncate(descriptor, 0)
                os.write(descriptor, f"{os.getpid()}\n".encode())
            except OSError as error:
                holder = os.pread(descriptor, 32, 0).decode(errors="replace").strip()
                os.close(descriptor)
                if error.errno == errno.EWOULDBLOCK:
                    raise StoreError(
                        f"{store} is in use by {f'process {holder}' if holder else 'another process'}: "
                        "wait until it ends or stop it, or name another file with --store."
                    ) from error
                path.unlink(missing_ok=True)  # nobody else has it
                raise StoreError(
                    f"{store} cannot be locked for writing ({error.strerror}): free space on its disk, "
                    "or name a file on a local disk with --store."
                ) from error
            return cls(path, descriptor)

    def release(self) -> None:
        """Give the store back; the side file goes while we still hold it, so that nobody's lock is removed."""
        self._path.unlink(missing_ok=True)
        os.close(self._descriptor)


def _is_still(path: Path, descriptor: int) -> bool:
    """Whether `path` still names the file that was opened as `descriptor`."""
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False
