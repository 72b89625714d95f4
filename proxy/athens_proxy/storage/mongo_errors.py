"""What a MongoDB server's refusals mean for the user: one line with the database, the attempt and the next step."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from pymongo.errors import ConfigurationError, ConnectionFailure, InvalidURI, OperationFailure, PyMongoError

from athens_proxy.errors import StorageError, StorageFull

_MAX_REASON: Final = 300
# https://github.com/mongodb/mongo/blob/master/src/mongo/base/error_codes.yml
_CREDENTIALS: Final = frozenset({18, 8000})
_NO_PERMISSION: Final = frozenset({13})
_READ_ONLY: Final = frozenset({10107, 13435, 11602, 189, 91})
_FULL: Final = frozenset({14031, 12501, 292, 8089})


@contextmanager
def mongo_errors(where: str, doing: str) -> Iterator[None]:
    """Driver errors as ours.

    Args:
        where: the database for people, without credentials.
        doing: what was attempted on what.
    """
    try:
        yield
    except PyMongoError as error:
        raise _translated(error, f"{where}: {doing}") from error


def _translated(error: PyMongoError, attempt: str) -> StorageError:
    if isinstance(error, OperationFailure) and error.code in _FULL:
        return StorageFull(f"{attempt}: the server has no space left; enlarge its disk or quota")
    return StorageError(f"{attempt}: {_reason(error)}; {_next_step(error)}")


def _next_step(error: PyMongoError) -> str:
    if isinstance(error, ConfigurationError):
        return "correct Storage.Mongo.URL"
    if isinstance(error, OperationFailure):
        if error.code in _CREDENTIALS:
            return "check user, password and authSource in Storage.Mongo.URL"
        if error.code in _NO_PERMISSION:
            return "give the user the role readWrite on this database"
        if error.code in _READ_ONLY:
            return "the server takes no writes now; see its replica set's status"
    if isinstance(error, ConnectionFailure):
        return "check that the server runs, and host, port and TLS in Storage.Mongo.URL"
    return "see the server's log"


def _reason(error: PyMongoError) -> str:
    """The driver's first sentence: what follows is the topology, which helps nobody in a line."""
    if isinstance(error, InvalidURI):  # the driver's text may quote the address, and with it the password
        return "the address is not valid; percent-encode special characters of user and password"
    text = str((error.details or {}).get("errmsg") or error) if isinstance(error, OperationFailure) else str(error)
    line = " ".join(text.split(", Timeout:")[0].split(" (configured timeouts")[0].split())
    return line[:_MAX_REASON] or type(error).__name__
