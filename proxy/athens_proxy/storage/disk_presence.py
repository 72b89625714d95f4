"""Whether the folder of a disk store is still there: a disk that was unmounted looks like a store without modules.

Asked only about what is not in the store; nothing is asked for what is.
"""

from __future__ import annotations

import os
from pathlib import Path

from athens_proxy.errors import StorageError
from athens_proxy.storage import layout
from athens_proxy.storage.disk_save import disk_reason

_Identity = tuple[int, int]


class DiskPresence:
    """Tells a store without a module from a disk that went away.

    Args:
        root: the store's folder, as it is now.
        is_only_source: nothing that went away with the disk would be fetched again. An empty folder in the place of
            the first one is an error then, and a store to be filled anew otherwise.
    """

    def __init__(self, root: Path, *, is_only_source: bool) -> None:
        self._root = root
        self._is_only_source = is_only_source
        self._known = _identity(os.stat(root))

    def require(self, attempt: str) -> None:
        """Return if what was not found is absent from the store, not the store itself.

        Args:
            attempt: what was tried, for the message.

        Raises:
            StorageError: the folder is gone, cannot be read, or is an empty one that has taken its place.
        """
        try:
            found = _identity(os.stat(self._root))
            if found == self._known or not self._is_only_source:
                return
            has_modules = any(map(layout.may_begin_a_path, os.listdir(self._root)))
        except (FileNotFoundError, NotADirectoryError) as error:
            raise StorageError(
                f"{attempt}: the folder {self._root} of the disk storage is gone; mount or create it again"
            ) from error
        except OSError as error:
            raise StorageError(f"{attempt}: the folder {self._root}: {disk_reason(error)}") from error
        if not has_modules:
            raise StorageError(
                f"{attempt}: an empty folder is in the place of the disk storage {self._root}; mount the disk again"
            )
        self._known = found  # the same disk mounted anew, or another copy of the store


def _identity(status: os.stat_result) -> _Identity:
    return (status.st_dev, status.st_ino)
