"""What is no regular file, or too large, is refused without blocking; what file managers leave is known by its name."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from s2g.io.input_files import is_litter, read_regular


def test_a_regular_file_is_read_whole_up_to_the_limit(tmp_path: Path) -> None:
    (path := tmp_path / "file").write_bytes(b"12345")
    assert read_regular(path, 5) == b"12345"
    with pytest.raises(OSError, match=r"larger than"):
        read_regular(path, 4)


def test_what_blocks_or_never_ends_is_refused(tmp_path: Path) -> None:
    os.mkfifo(pipe := tmp_path / "pipe")
    for path in (pipe, Path("/dev/zero")):
        with pytest.raises(OSError, match="Not a regular file"):
            read_regular(path)
    with pytest.raises(IsADirectoryError):
        read_regular(tmp_path)
    with pytest.raises(FileNotFoundError):
        read_regular(tmp_path / "none")


def test_what_file_managers_leave_is_known_by_name() -> None:
    assert all(map(is_litter, (".DS_Store", "Thumbs.db", "desktop.ini", "._00000.jpg")))
    assert not any(map(is_litter, ("00000.jpg", "_.png", ".hidden.png")))
