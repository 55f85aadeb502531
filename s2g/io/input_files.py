"""Files that a user names: read only if they are regular and not too large; what file managers leave beside them is skipped."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

LARGEST = 2**28  # bytes: far above any image or list of prompts, far below the memory of any machine that samples
LITTER = (".DS_Store", "Thumbs.db", "desktop.ini")


def read_regular(path: Path, largest: int = LARGEST) -> bytes:
    """Read a whole file; OSError for a pipe or device, which would block or never end, and for more than `largest` bytes."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # without O_NONBLOCK, opening a pipe waits for a writer
    try:
        about = os.fstat(descriptor)
        if stat.S_ISDIR(about.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        if not stat.S_ISREG(about.st_mode):
            raise OSError(errno.EINVAL, "Not a regular file", str(path))
        if about.st_size > largest:
            raise OSError(errno.EFBIG, f"larger than {largest // 2**20} MiB", str(path))
        with open(descriptor, "rb", closefd=False) as stream:
            return stream.read(about.st_size)  # read(largest) would allocate that much for every small file
    finally:
        os.close(descriptor)


def is_litter(name: str) -> bool:
    """Return whether a file manager wrote a file of this name; macOS puts a ._NAME beside each NAME on foreign disks."""
    return name in LITTER or name.startswith("._")
