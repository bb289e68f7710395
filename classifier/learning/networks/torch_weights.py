"""Read a PyTorch state_dict without PyTorch and without running code from the file.

A file of PyTorch before 1.6 has five pickles: magic number, protocol, system, state_dict, and the keys of the storages.
Then comes each storage as an element count (int64) and raw little-endian elements. The unpickler here creates only the
types that such a file needs. Everything else in the file is an error. Source of the layout: `torch/serialization.py`,
`_legacy_load`.
"""

from __future__ import annotations

import pickle
import struct
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from core.errors import ArtifactInvalid

_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001
_DTYPES = {"FloatStorage": np.dtype("<f4"), "LongStorage": np.dtype("<i8")}


@dataclass(frozen=True, slots=True)
class _Storage:
    key: str
    dtype: np.dtype[Any]
    size: int


@dataclass(frozen=True, slots=True)
class _Tensor:
    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def _rebuild_tensor(storage: _Storage, offset: int, shape: Any, strides: Any, *_: Any) -> _Tensor:
    return _Tensor(storage, offset, tuple(shape), tuple(strides))


class _SafeUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _rebuild_tensor
        if module == "torch" and name in _DTYPES:
            return _DTYPES[name]
        raise ArtifactInvalid(f"expected a plain state_dict, got a file that asks for {module}.{name}")

    def persistent_load(self, pid: Any) -> _Storage:
        kind, dtype, key, _device, size, view = pid
        if kind != "storage" or view is not None:
            raise ArtifactInvalid(f"expected whole storages, got {pid!r}")
        return _Storage(str(key), dtype, int(size))


def read_state_dict(path: Path) -> dict[str, NDArray[Any]]:
    """Return the tensors of a `.pth` file by name, in the shapes of PyTorch.

    Raises:
        ArtifactInvalid: the file is not a plain state_dict in the format of PyTorch before 1.6.
    """
    with path.open("rb") as file:
        try:
            magic, protocol, _system, tensors, keys = (_SafeUnpickler(file).load() for _ in range(5))
        except (pickle.UnpicklingError, EOFError, ValueError) as error:
            raise ArtifactInvalid(f"{path.name} is not a PyTorch file of the format before 1.6: {error}") from error
        if magic != _MAGIC or protocol != _PROTOCOL:
            raise ArtifactInvalid(f"{path.name}: expected magic {_MAGIC:#x} and protocol {_PROTOCOL}, got others")
        sizes = {tensor.storage.key: tensor.storage for tensor in tensors.values()}
        storages = {key: _read_storage(file, sizes[key]) for key in keys}
    return {name: _view(tensor, storages[tensor.storage.key]) for name, tensor in tensors.items()}


def _read_storage(file: IO[bytes], storage: _Storage) -> NDArray[Any]:
    (size,) = struct.unpack("<q", file.read(8))
    data = file.read(size * storage.dtype.itemsize)
    if size != storage.size or len(data) != size * storage.dtype.itemsize:
        raise ArtifactInvalid(f"storage {storage.key}: expected {storage.size} elements, got {size}")
    return np.frombuffer(data, storage.dtype)


def _view(tensor: _Tensor, storage: NDArray[Any]) -> NDArray[Any]:
    steps = zip(tensor.shape, tensor.strides, strict=True)
    last = tensor.offset + sum((count - 1) * step for count, step in steps)
    if min((tensor.offset, *tensor.shape, *tensor.strides)) < 0 or last >= len(storage):
        raise ArtifactInvalid(f"expected a tensor within its {len(storage)} elements, got one up to element {last}")
    itemsize = storage.itemsize
    strides = tuple(stride * itemsize for stride in tensor.strides)
    return np.lib.stride_tricks.as_strided(storage[tensor.offset :], tensor.shape, strides, writeable=False)
