"""The description of the administration interface (OpenAPI 3.1), written from the tree of commands."""

from functools import cache
from importlib.metadata import version
from typing import Any

from pydantic import TypeAdapter

from mailgov.texts import Language
from mailgov_cli import words
from mailgov_cli.app import NOUNS
from mailgov_cli.exits import Exit
from mailgov_cli.grammar import command_help, param_help
from mailgov_cli.remote.answers import JSON_LINES, PROBLEM, STATUS
from mailgov_cli.remote.tree import Command, Parameter, routes

_FILE_FORMAT = "file-name"


@cache
def document(language: Language) -> dict[str, Any]:
    """The whole description, with words in this language."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": words.say(language, "api", "title"),
            "description": words.say(language, "api", "description"),
            "version": version("mailgov"),
        },
        "servers": [{"url": "/api/v1"}],
        "security": [{"token": []}],
        "tags": [
            {"name": noun, "description": words.find(language, "help", noun, "summary")}
            for noun in sorted({one.path.split()[0] for one in routes().values()}, key=_order)
        ],
        "paths": {f"/{route}": _path(one, language) for route, one in routes().items()},
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": {"Problem": _PROBLEM, "Result": _RESULT},
        },
    }


def _order(noun: str) -> int:
    return list(NOUNS).index(noun)


def _path(command: Command, language: Language) -> dict[str, Any]:
    operation = {
        "tags": [command.path.split()[0]],
        "summary": command_help(command.verb, command.path, language),
        "description": "\n".join(
            f"    {line.strip()}" for line in (command.verb.epilog or "").strip().splitlines()
        ),
        "responses": _responses(language),
    }
    names = command.path.replace(" ", "_").replace("-", "_")
    found: dict[str, Any] = {
        "post": {
            **operation,
            "operationId": names,
            "parameters": [_KEY],
            "requestBody": {"content": _bodies(command, language)},
        }
    }
    if not command.verb.changes:
        found["get"] = {
            **operation,
            "operationId": f"get_{names}",
            "parameters": [
                {
                    "name": one.name,
                    "in": "query",
                    "required": bool(one.param.required),
                    "schema": _schema(one, command, language),
                }
                for one in command.parameters.values()
                if not one.is_file
            ],
        }
    return found


def _bodies(command: Command, language: Language) -> dict[str, Any]:
    values = {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            one.name: _schema(one, command, language) for one in command.parameters.values()
        },
        "required": [one.name for one in command.parameters.values() if one.param.required],
    }
    bodies: dict[str, Any] = {"application/json": {"schema": values}}
    if any(one.is_file and not one.general for one in command.parameters.values()):
        files = {"type": "array", "items": {"type": "string", "format": "binary"}}
        stdin = {"type": "string", "format": "binary"}
        parts = {"call": values, "file": files, "stdin": stdin}
        bodies["multipart/form-data"] = {
            "schema": {"type": "object", "properties": parts},
            "encoding": {"call": {"contentType": "application/json"}},
        }
    return bodies


def _schema(parameter: Parameter, command: Command, language: Language) -> dict[str, Any]:
    if parameter.is_flag:
        found: dict[str, Any] = {"type": "boolean"}
    elif parameter.is_file:
        found = {"type": "string", "format": _FILE_FORMAT}
    else:
        found = _of_kind(parameter)
    if parameter.many:
        found = {"type": "array", "items": found}
    default = parameter.param.default
    if isinstance(default, (str, int, float)) and default not in ("", False):
        found["default"] = getattr(default, "value", default)
    return {**found, "description": param_help(parameter.param, command.path, language)}


def _of_kind(parameter: Parameter) -> dict[str, Any]:
    found = TypeAdapter(parameter.kind).json_schema()
    if found.get("format") == "date-time":
        found = {"type": "string", "format": "date"}
    for bound, name in ((parameter.param.min, "minimum"), (parameter.param.max, "maximum")):
        if bound is not None:
            found[name] = bound
    return {key: value for key, value in found.items() if key not in ("title", "description")}


def _responses(language: Language) -> dict[str, Any]:
    meanings: dict[int, list[str]] = {}
    for code, status in STATUS.items():
        text = words.say(language, "exit", str(int(code)))
        meanings.setdefault(status, []).append(f"{int(Exit(code))}: {text}")
    result = {"schema": {"$ref": "#/components/schemas/Result"}}
    trouble = {"schema": {"$ref": "#/components/schemas/Problem"}}
    return {
        str(status): {
            "description": "; ".join(texts),
            "content": {"application/json": result, JSON_LINES: {}}
            if status == 200
            else {PROBLEM: trouble},
        }
        for status, texts in sorted(meanings.items())
    }


_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
}
_RESULT = {
    "type": "object",
    "properties": {
        "schema": {"type": "string"},
        "data": {},
        "next": {"type": ["string", "null"]},
    },
    "required": ["schema", "data"],
}
_PROBLEM = {
    "type": "object",
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {"type": "string"},
        "fields": {"type": "object", "additionalProperties": {"type": "string"}},
        "exit": {"type": "integer"},
        "run": {"type": "string"},
    },
    "required": ["type", "title", "status", "code", "exit"],
}
