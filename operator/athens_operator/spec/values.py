"""The scalar types and the base class of everything that is parsed from a custom resource."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from math import ceil
from typing import Annotated, Self, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, ValidationError, model_validator
from pydantic.alias_generators import to_camel

from athens_operator.errors import Problem, SpecError

DURATION = re.compile(r"([0-9]{1,6}[hms])+")
OBJECT_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
QUANTITY = re.compile(r"(?P<number>[0-9]+([.][0-9]+)?)(?P<unit>[KMGTPE]i|[numkMGTPE]?|[eE][0-9]{1,2})")
UNIT_POWERS = {"n": -3, "u": -2, "m": -1, "": 0, "k": 1, "K": 1, "M": 2, "G": 3, "T": 4, "P": 5, "E": 6}
WRONG_SHAPES = re.compile(r"valid (tuple|dictionary|mapping)")
SECONDS = {"h": 3600, "m": 60, "s": 1}


def seconds_of(text: object) -> int:
    """Whole seconds of a duration such as `1h30m`.

    Raises:
        ValueError: the text is no duration.
    """
    if not isinstance(text, str) or not DURATION.fullmatch(text):
        raise ValueError("not a duration; write hours, minutes and seconds, such as 1h30m or 90s")
    return sum(int(number) * SECONDS[unit] for number, unit in re.findall(r"([0-9]+)([hms])", text))


def _quantity(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError("not a quantity; write a number with a unit, such as 2Gi")
    if isinstance(value, int) and value < 0:
        raise ValueError("a quantity is not negative; write a number with a unit, such as 2Gi")
    return str(value)


def bytes_of(quantity: str) -> int:
    """Whole bytes of a Kubernetes quantity such as `200Gi`, `1.5G` or `2e9`, rounded up.

    Raises:
        ValueError: the text is no quantity.

    Source: https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
    """
    found = QUANTITY.fullmatch(quantity)
    if found is None:
        raise ValueError("not a quantity; write a number with a unit, such as 2Gi")
    number, unit = Decimal(found["number"]), found["unit"]
    if unit[:1] in ("e", "E") and unit[1:]:
        return ceil(number * Decimal(10) ** int(unit[1:]))
    base = 1024 if unit.endswith("i") else 1000
    return ceil(number * Decimal(base) ** UNIT_POWERS[unit.removesuffix("i")])


def _int_or_percent(value: object) -> int | str:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError("not a number or percentage; write 1 or 25%")
    return value


def _object_name(text: str) -> str:
    if not OBJECT_NAME.fullmatch(text):
        raise ValueError("not the name of an object; use lower case letters, digits, dashes and dots")
    return text


ObjectName = Annotated[str, AfterValidator(_object_name)]
"""The name of an object that the operator looks up or writes: part of an address, so never free text."""
Seconds = Annotated[int, BeforeValidator(seconds_of)]
Quantity = Annotated[str, BeforeValidator(_quantity)]
IntOrPercent = Annotated[int | str, BeforeValidator(_int_or_percent)]
Labels = Mapping[str, str]


class Spec(BaseModel):
    """A part of a custom resource: camelCase outside, snake_case inside, frozen, unknown fields ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore", alias_generator=to_camel, hide_input_in_errors=True)


class NamedReference(Spec):
    """An object in the proxy's own namespace."""

    name: ObjectName


class KeyReference(Spec):
    """A key of a Secret or ConfigMap in the proxy's own namespace; without `key` the one that the field names."""

    name: ObjectName
    key: str = ""


class FileReference(Spec):
    """A file in a ConfigMap or in a Secret, exactly one of them."""

    config_map_ref: KeyReference | None = None
    secret_ref: KeyReference | None = None

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.config_map_ref is None) is (self.secret_ref is None):
            raise ValueError("set exactly one of configMapRef and secretRef")
        return self


def require_member(union: Spec, chosen: str, members: Iterable[str]) -> None:
    """Hold a union to its discriminator.

    Args:
        union: has one field per member that needs settings.
        chosen: the member that its discriminator names.
        members: the fields by the names that users write; those that the union lacks need no settings.

    Raises:
        ValueError: another member is set, or the chosen one is not.
    """
    fields = {field.alias or name: name for name, field in type(union).model_fields.items()}
    known = [str(member) for member in members if str(member) in fields]
    set_ = [member for member in known if getattr(union, fields[member]) is not None]
    if set_ != [member for member in known if member == chosen]:
        raise ValueError(
            f"type {chosen} needs the member {chosen} and no other"
            if chosen in known
            else f"type {chosen} takes no settings; remove {' and '.join(set_)}"
        )


S = TypeVar("S", bound=Spec)


def parsed(model: type[S], value: object, *, root: str) -> S:
    """The value as a model.

    Args:
        model: what to read it as.
        value: the untyped part of the object.
        root: path of that part, such as `spec`, put in front of the paths of all problems.

    Raises:
        SpecError: listing every problem with its field path; values of invalid fields are left out.
    """
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise SpecError(
            Problem(_path(root, found["loc"]), _sentence(found["msg"])) for found in error.errors(include_input=False)
        ) from None


def _path(root: str, location: tuple[int | str, ...]) -> str:
    steps = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in location)
    return root + "".join(steps)


def _sentence(message: str) -> str:
    """What the library says, in the words of YAML."""
    shape = WRONG_SHAPES.search(message)
    if shape is not None:
        return "write a list" if shape[1] == "tuple" else "write fields with values"
    return message.removeprefix("Value error, ")
