"""Registries: the data sets, backbones and methods by the names that params.yaml uses."""

import difflib
import re
import traceback
from collections.abc import Iterable, Iterator, Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Generic, TypeVar

from pipeline.errors import ParamsError, PipelineError, short_repr

NAME = r"[A-Za-z0-9][A-Za-z0-9_-]*"
"""What a name from params.yaml may look like: it becomes a part of paths, of stage names and of MLflow's tags."""


E = TypeVar("E", bound=Any)
"""What is registered: an object or a class, with a ``name`` as in params.yaml and a ``title`` as people write it."""


class Registry(Mapping[str, E], Generic[E]):
    """Entries of one kind by name, in the order of their registration.

    Code outside of this package adds its own with ``add``.
    """

    def __init__(self, kind: str, entries: Iterable[E] | Mapping[str, str] = (), package: str = "") -> None:
        """Register the entries.

        Args:
            kind: what errors call an entry ("data set").
            entries: the objects themselves, or by their names where they are ("module:object"): these are imported when
                they are asked for, so that knowing the names loads nothing.
            package: where their modules are, each by its entry's name.
        """
        self.kind, self._package = kind, package
        self._entries: dict[str, E | str] = dict(entries) if isinstance(entries, Mapping) else {}
        for entry in () if isinstance(entries, Mapping) else entries:
            self.add(entry)

    def add(self, entry: E) -> None:
        """Register an entry.

        Raises:
            ValueError: its name is taken, or is none that ``NAME`` allows.
        """
        if not re.fullmatch(NAME, entry.name):
            raise ValueError(f"{self.kind} {entry.name!r}: a name is made of letters, digits, _ and -")
        if entry.name in self._entries:
            raise ValueError(f"{self.kind} {entry.name!r} is registered already")
        self._entries[entry.name] = entry

    def remove(self, name: str) -> None:
        """Take an entry out again, as tests do with theirs."""
        del self._entries[name]

    def __getitem__(self, name: str) -> E:
        if name not in self._entries:
            raise UnknownNameError(self.absent(name))
        entry = self._entries[name]
        if not isinstance(entry, str):
            return entry
        found: E = imported(entry, f"{self._list}, {self.kind} {name!r}")
        self._entries[name] = found
        return found

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def absent(self, name: str) -> str:
        """What to say of a name that no entry has; a module of that name may only lack its line in the registry."""
        said = f"unknown {self.kind} {unknown(name, self)}"
        if self._package and re.fullmatch(NAME, name) and find_spec(f"{self._package}.{name}"):
            module = f"{self._package.replace('.', '/')}/{name}.py"
            said += f". If {module} is a {self.kind}, add its line to {self._list}"
        return said

    @property
    def _list(self) -> str:
        """The file with the registry's lines."""
        return f"{self._package.replace('.', '/')}/__init__.py"

    def title(self, name: str) -> str:
        """The title of an entry; a name that is not registered is its own title."""
        return self[name].title if name in self else name


def imported(entry: str, line: str) -> Any:
    """Import what a line of a registry names.

    Args:
        entry: "module:object".
        line: where that is written, for the message.

    Raises:
        PipelineError: there is no such module, or it has no such object. What goes wrong within the module keeps its
            traceback.
    """
    module, _, name = entry.partition(":")
    try:
        found = import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise
        raise PipelineError(f"{line}: there is no module {error.name}; correct {entry!r} there") from error
    if not hasattr(found, name):
        raise PipelineError(f"{line}: {module} has no {name!r}{suggestion(name, vars(found))}; correct {entry!r} there")
    return getattr(found, name)


def imported_of(owner: type, attribute: str) -> Any:
    """Import what an attribute of a class names, or of one that it is derived from ("module:object").

    Raises:
        PipelineError: see ``imported``.
    """
    writer = next(each for each in owner.__mro__ if attribute in vars(each))
    place = f"{writer.__module__.replace('.', '/')}.py, {writer.__name__}.{attribute}"
    return imported(vars(writer)[attribute], place)


def wrong_import(error: ImportError) -> str | None:
    """What a package of this project, such as a registry, imports from its modules though it is not there.

    Returns:
        The file, its line and what is missing there; None for imports that fail elsewhere.
    """
    *_, (frame, number) = traceback.walk_tb(error.__traceback__)
    package = str(frame.f_globals.get("__name__", ""))
    if not package.startswith("pipeline.") or "__path__" not in frame.f_globals:
        return None
    reason = re.sub(r" \([^()]*\)", "", error.msg)  # the module's path, which its name tells already
    return f"{package.replace('.', '/')}/__init__.py, line {number}: {reason}; correct the line"


class UnknownNameError(ParamsError, KeyError):
    """A name that no entry of a registry has."""

    def __str__(self) -> str:
        return str(self.args[0])


def unknown(name: str, known: Iterable[str]) -> str:
    """The end of a message on a wrong name: the name, what may have been meant, what there is."""
    names = tuple(known)
    return f"{short_repr(name)}{suggestion(name, names)}; known: {', '.join(names)}"


def suggestion(word: str, known: Iterable[str]) -> str:
    """A question to append to a message, " (did you mean …?)", where one of ``known`` is close to ``word``; else ""."""
    close = difflib.get_close_matches(word, tuple(known), n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""
