"""Parameters of a request: of its query, and of a form in its body, which wins, as Go's `FormValue` reads them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qsl

from aiohttp import web

MAX_FORM_BYTES: Final = 1024 * 1024
MAX_FIELDS: Final = 100
_FORM: Final = "application/x-www-form-urlencoded"
_GO_ATOI: Final = re.compile(r"[+-]?[0-9]{1,19}", re.ASCII)


class InvalidParameter(ValueError):
    """A parameter has no value that is understood; the message names it."""


async def parameters(request: web.BaseRequest) -> Mapping[str, str]:
    """The first value of each parameter.

    Raises:
        InvalidParameter: the form is too large or is no form.
    """
    found = dict(reversed(list(request.query.items())))
    if request.method == "POST" and request.content_type == _FORM:
        body = b""
        async for chunk in request.content.iter_any():
            body += chunk
            if len(body) > MAX_FORM_BYTES:
                raise InvalidParameter(f"the form is larger than {MAX_FORM_BYTES} bytes")
        try:
            fields = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=MAX_FIELDS)
        except ValueError as error:
            raise InvalidParameter("the form in the body cannot be read") from error
        found |= dict(reversed(fields))
    return found


def integer(values: Mapping[str, str], name: str, *, default: int) -> int:
    """A parameter as Go's `Atoi` reads it; absent or empty it has its default.

    Raises:
        InvalidParameter: it is no integer of 64 bits.
    """
    text = values.get(name, "")
    if not text:
        return default
    if not _GO_ATOI.fullmatch(text) or not -(2**63) <= int(text) < 2**63:
        raise InvalidParameter(f"{name} must be an integer")
    return int(text)
