"""The settings of each kind of route as a form asks for them, read off the models: a new setting is in the page, the command and the API at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from beton.routing.channels import channel

Shape = Literal["text", "secret", "number", "yes_no", "choice", "headers"]


@dataclass(frozen=True)
class FormField:
    """One setting."""

    name: str
    title: str
    help: str
    shape: Shape
    required: bool
    default: str
    """As a form shows it; empty where there is none."""
    choices: tuple[str, ...] = ()


def form_fields(kind: str) -> list[FormField]:
    """What a kind of route asks for, in order. What is known without asking, such as made tokens, is left out."""
    asked = [(name, info) for name, info in channel(kind).settings.model_fields.items() if not info.exclude and not _is_made(info)]
    return [_field(name, info) for name, info in asked]


def settings_from(kind: str, given: Mapping[str, str], *, boxes: bool = False) -> dict[str, Any]:
    """The texts of a form as settings: what was left empty is left out, and `boxes` says that a box without a tick is missing altogether."""
    settings: dict[str, Any] = {}
    for field in form_fields(kind):
        text = given.get(field.name, "").strip()
        if field.shape == "headers" and text:
            settings[field.name] = [
                [name.strip(), value.strip()] for name, _, value in (line.partition(":") for line in text.splitlines() if line.strip())
            ]
        elif field.shape == "yes_no" and (text or boxes):
            settings[field.name] = text.lower() in ("on", "true", "yes", "1")
        elif text:
            settings[field.name] = text
    return settings


def _is_made(info: FieldInfo) -> bool:
    return isinstance(info.json_schema_extra, dict) and info.json_schema_extra.get("made") is True


def _field(name: str, info: FieldInfo) -> FormField:
    shape, choices = _shape(info)
    default = info.default if not info.is_required() and info.default is not None and shape != "headers" else ""
    shown = ("yes" if default else "no") if shape == "yes_no" else str(default)
    required = info.is_required() and name != "secret"  # a webhook's is made where none is given
    return FormField(name, info.title or name.replace("_", " ").capitalize(), info.description or "", shape, required, shown, choices)


def _shape(info: FieldInfo) -> tuple[Shape, tuple[str, ...]]:
    kinds = [one for one in _options(info.annotation) if one is not NoneType]
    literal = next((one for one in kinds if get_origin(one) is Literal), None)
    if literal is not None:
        return "choice", tuple(map(str, get_args(literal)))
    if any(get_origin(one) is tuple for one in kinds):
        return "headers", ()
    if bool in kinds:
        return "yes_no", ()
    if int in kinds:
        return "number", ()
    return ("text" if info.repr or info.title in ("Address", "Incoming webhook") else "secret"), ()


def _options(annotation: Any) -> tuple[Any, ...]:
    return get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)
