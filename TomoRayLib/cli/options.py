"""Options of the commands, made from the dataclass of the job that a command runs."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import MISSING, Field, fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any, Optional, TypeVar, get_args, get_type_hints

import typer

from TomoRayLib.base.settings import Option, offered_of, option_of
from TomoRayLib.cli.running import finish
from TomoRayLib.geometry.presets import PRESETS
from TomoRayLib.jobs.events import Emit
from TomoRayLib.jobs.failures import NOTHING_WRITTEN
from TomoRayLib.synthesis.settings import GeometryOptions

AnyJob = TypeVar("AnyJob")

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object per line instead of bars and tables.")]
OptionalPath = Optional[Path]  # noqa: UP045
WholeNumber = Optional[int]  # noqa: UP045


def job_command(
    kind: type[AnyJob], left_behind: str = NOTHING_WRITTEN
) -> Callable[[Callable[[AnyJob, Emit], Any]], Callable[..., None]]:
    """Turn a function of a job and ``emit`` into a command that has an option for every setting of the job.

    ``left_behind`` is as in ``run_guarded``.
    """

    def decorate(run: Callable[[AnyJob, Emit], Any]) -> Callable[..., None]:
        def command(**values: Any) -> None:
            as_json = values.pop("json")
            finish(lambda emit: run(job_of(kind, values), emit), as_json, left_behind, option_names(kind))

        parameters = [_parameter(item, option, hint) for item, option, hint in _offered(kind)]
        parameters.append(inspect.Parameter("json", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=Json))
        command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        command.__name__, command.__doc__ = run.__name__, run.__doc__
        return command

    return decorate


def job_of(kind: type[AnyJob], values: dict[str, Any]) -> AnyJob:
    """Return a job from the values of its options, nested settings among them; by the fields' names."""
    hints = get_type_hints(kind)
    given = {}
    for item in fields(kind):  # type: ignore[arg-type]
        if is_dataclass(hints[item.name]):
            given[item.name] = job_of(hints[item.name], values)
        elif item.name in values and option_of(item) is not None:
            given[item.name] = _from_command_line(values[item.name], hints[item.name])
    if kind is GeometryOptions and given["preset"] not in (None, *PRESETS):
        given["file"] = given.pop("preset")  # one option for both
    return kind(**given)


def option_names(kind: type) -> dict[str, str]:
    """Return the options of a job by the names that ``InputError.field`` uses: the field's, and the option's own."""
    names = {}
    for item, option, _ in _offered(kind):
        if not option.is_argument:
            shown = _name(item, option).partition("/")[0]
            names[item.name] = names[shown.strip("-").replace("-", "_")] = shown
    return names


def option_for(kind: type, field: str) -> Any:
    """Return the annotation of a parameter that is the same setting as the field of a job."""
    return next(_annotation(item, option, hint) for item, option, hint in _offered(kind) if item.name == field)


def _offered(kind: type, *only: str) -> Iterator[tuple[Field[Any], Option, Any]]:
    """The fields of a job and of the settings in it that are options, with their types."""
    hints = get_type_hints(kind)
    for item in fields(kind):
        option = option_of(item)
        if is_dataclass(hints[item.name]):
            yield from _offered(hints[item.name], *offered_of(item))
        elif option is not None and (not only or item.name in only):
            yield item, option, hints[item.name]


def _parameter(item: Field[Any], option: Option, hint: Any) -> inspect.Parameter:
    default = inspect.Parameter.empty if item.default is MISSING else _to_command_line(item.default)
    annotation = _annotation(item, option, hint)
    return inspect.Parameter(item.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def _annotation(item: Field[Any], option: Option, hint: Any) -> Any:
    if option.is_path and hint == tuple[str, ...]:
        kind: Any = list[Path]
    elif option.is_path:
        kind = Path if hint is str else OptionalPath
    elif hint == tuple[str, ...]:
        kind = list[str]
    elif hint == tuple[float, ...]:
        kind = list[float]
    elif type(None) in get_args(hint):
        kind = Optional[get_args(hint)[0]]  # noqa: UP045
    else:
        kind = hint
    if option.is_argument:
        return Annotated[kind, typer.Argument(help=option.help)]
    return Annotated[kind, typer.Option(_name(item, option), help=option.help, metavar=option.metavar)]


def _name(item: Field[Any], option: Option) -> str:
    return option.name or f"--{item.name.replace('_', '-')}"


def _to_command_line(default: Any) -> Any:
    """A default as typed: texts are joined by commas, numbers are given one by one."""
    if not isinstance(default, tuple):
        return default
    return [",".join(default)] if default else []


def _from_command_line(value: Any, hint: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    if hint == tuple[str, ...] and any(isinstance(item, Path) for item in value):
        return tuple(str(item) for item in value)
    if hint == tuple[str, ...]:
        return tuple(word.strip() for text in value for word in text.split(",") if word.strip())
    return tuple(value) if isinstance(value, list) else value
