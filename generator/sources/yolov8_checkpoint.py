"""Whether a YOLO checkpoint can be read without running code of whoever made it; decided before Ultralytics sees it.

A ``.pt`` file is a pickle, a small program that builds objects and may call any function that it names. Here the
program is followed with stand-ins for all that it names: nothing is imported, built or called. It passes if it does
only what a network of Ultralytics' and torch's own layers needs. Newer versions of Ultralytics check too, if told to
before their import; older ones, and one that another program has imported already, do not.
"""

from __future__ import annotations

import io
import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, NoReturn

from diffucurate.generator.errors import ModelError

#: What may be made, without its constructor being called: layers, networks and losses.
_CLASSES = re.compile(
    r"(torch\.nn\.modules|ultralytics\.nn\.modules|ultralytics\.nn\.tasks|ultralytics(\.yolo)?\.utils\.(loss|tal))"
    r"(\.\w+)*\.([A-Z]|v10)\w*"
)
_STORAGES = re.compile(r"torch(\.storage)?\.\w*Storage")
#: Data types, such as torch.float16.
_TYPES = re.compile(r"torch\.(float|double|half|bfloat|int|uint|bool|long|short)\w*")

#: What may be called, each of which only builds what it is given.
_FUNCTIONS = frozenset(
    {
        "torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_parameter", "torch.Size", "torch.device",
        "collections.OrderedDict", "builtins.set", "builtins.frozenset", "numpy.dtype",
        "numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar",
        "ultralytics.utils.IterableSimpleNamespace", "ultralytics.yolo.utils.IterableSimpleNamespace",
        "pathlib.PosixPath", "pathlib.WindowsPath", "pathlib._local.PosixPath", "pathlib._local.WindowsPath",
    }
)  # fmt: skip

#: Python 2's name of the module of built-in functions, which pickles of protocol 2 use.
_RENAMED = {"__builtin__": "builtins"}

_GETATTR = "builtins.getattr"
#: By which pickles of protocol 2 hold bytes.
_ENCODE = "_codecs.encode"
_NAMESPACES = ("ultralytics.utils.IterableSimpleNamespace", "ultralytics.yolo.utils.IterableSimpleNamespace")


def check_checkpoint(path: Path) -> None:
    """See that reading a ``.pt`` file runs no code but that which builds a network.

    Raises:
        ModelError: it is no checkpoint of torch's present format, is broken, or would run something else, which is
            named.
    """
    import torch

    try:
        # The reader of torch.load itself, so that both see the same pickle.
        reader: Any = torch._C.PyTorchFileReader(str(path))
        content = None if reader.has_record("constants.pkl") else reader.get_record("data.pkl")
    except RuntimeError as error:
        raise ModelError(
            f"{path} cannot be loaded as a YOLO checkpoint: it is no file that torch.save wrote since version 1.6"
        ) from error
    if content is None:
        raise ModelError(f"{path} is an exported TorchScript; name the checkpoint that it was exported from")
    try:
        _Follower(content).load()
    except _Refused as refusal:
        raise ModelError(
            f"{path} cannot be loaded safely: reading it {refusal}, which no YOLO checkpoint needs; where you know who "
            "made it, trust_pickle (--trust-pickle) reads it and runs whatever code is in it"
        ) from None
    except Exception as error:  # whatever a broken program of a pickle leads to
        raise ModelError(f"{path} cannot be loaded as a YOLO checkpoint: its content is broken") from error


class _Refused(Exception):  # noqa: N818  (it says what was refused)
    """What reading the checkpoint would do, as the rest of a sentence."""


class _Named:
    """Stands for what a pickle names, a class or a function. Cannot be called."""

    def __init__(self, name: str) -> None:
        self.name = name


class _Built(dict[Any, Any]):
    """Stands for an object, whatever is put into it."""

    def __hash__(self) -> int:  # type: ignore[override]  # keys of mappings
        return id(self)

    def __setitem__(self, key: Any, value: Any) -> None:
        pass

    def append(self, item: Any) -> None:
        pass

    def extend(self, items: Any) -> None:
        pass

    add = append


class _Follower(pickle._Unpickler):
    """Python's own unpickler in Python, with stand-ins in the place of everything that is named, made or called."""

    dispatch: ClassVar[dict[int, Callable[..., None]]] = dict(pickle._Unpickler.dispatch)
    stack: list[Any]  # of the unpickler's

    def __init__(self, content: bytes) -> None:
        super().__init__(io.BytesIO(content), encoding="utf-8")

    def find_class(self, module: str, name: str) -> _Named:
        whole = f"{_RENAMED.get(module, module)}.{name}"
        patterns = (_CLASSES, _STORAGES, _TYPES)
        if whole in _FUNCTIONS or whole in (_GETATTR, _ENCODE) or any(pattern.fullmatch(whole) for pattern in patterns):
            return _Named(whole)
        raise _Refused(f"names '{whole[:80]}'")

    def get_extension(self, code: int) -> NoReturn:
        raise _Refused("names something by a number")

    def persistent_load(self, pid: Any) -> _Built:
        return _Built()

    def _reduce(self) -> None:
        arguments = self.stack.pop()
        function = self.stack[-1]
        name = function.name if isinstance(function, _Named) else "something that it built"
        if name == _GETATTR:
            self._check_attribute(arguments)
        elif name == _ENCODE and arguments[1:] == ("latin1",):
            pass
        elif name not in _FUNCTIONS or (name in _NAMESPACES and arguments):
            raise _Refused(f"calls {name}")
        self.stack[-1] = _Built()

    def _check_attribute(self, arguments: Any) -> None:
        """Some networks keep a method of a class of their layers, such as ``Detect.forward``."""
        owner, name = arguments
        known = isinstance(owner, _Built) or (isinstance(owner, _Named) and _CLASSES.fullmatch(owner.name))
        if not known or not isinstance(name, str) or not re.fullmatch(r"forward\w*", name):
            raise _Refused(f"takes the attribute '{str(name)[:80]}' of something")

    def _new_object(self) -> None:
        self.stack.pop()
        self._made(self.stack.pop())

    def _new_object_with_keywords(self) -> None:
        del self.stack[-2:]
        self._made(self.stack.pop())

    def _made(self, kind: Any) -> None:
        name = kind.name if isinstance(kind, _Named) else "something that it built"
        if not _CLASSES.fullmatch(name):
            raise _Refused(f"makes an object of {name}")
        self.stack.append(_Built())

    def _build(self) -> None:
        self.stack.pop()
        if not isinstance(self.stack[-1], _Built):
            raise _Refused("changes something that it did not make")

    def _instance(self) -> NoReturn:
        raise _Refused("makes objects as only very old programs do")

    dispatch[pickle.REDUCE[0]] = _reduce
    dispatch[pickle.NEWOBJ[0]] = _new_object
    dispatch[pickle.NEWOBJ_EX[0]] = _new_object_with_keywords
    dispatch[pickle.BUILD[0]] = _build
    dispatch[pickle.INST[0]] = _instance
    dispatch[pickle.OBJ[0]] = _instance
