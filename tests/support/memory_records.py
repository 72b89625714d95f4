"""Records kept in memory, with the promises of `Storage.read_record` and `write_record`."""

from __future__ import annotations

from athens_proxy.errors import ModuleNotFound, StorageError


class MemoryRecords:
    """Records by name; `full` makes every write fail."""

    def __init__(self) -> None:
        self.by_name: dict[str, bytes] = {}
        self.full = False

    async def read_record(self, name: str) -> bytes:
        try:
            return self.by_name[name]
        except KeyError as error:
            raise ModuleNotFound(f"not found: record {name}") from error

    async def write_record(self, name: str, data: bytes) -> None:
        if self.full:
            raise StorageError("no room for records")
        self.by_name[name] = data
