"""Models on disk: safetensors without metadata, so that the same weights give the same bytes."""

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from robust3d.errors import UserError


def save_state(state: Mapping[str, Tensor], path: Path) -> None:
    """Write tensors from any device, each copied to its own memory."""
    save_file({name: value.detach().cpu().contiguous().clone() for name, value in state.items()}, path)


def load_state(path: Path, device: torch.device | str = "cpu") -> dict[str, Tensor]:
    """Read a state dict: safetensors, or a ``.pt``/``.pth`` of other software, without running code in it.

    In a checkpoint the state dict is the only entry that maps names to tensors, ``state_dict`` in Lightning's.

    Raises:
        UserError: missing, damaged, not a plain mapping of names to tensors, or with values that are not finite.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    try:
        if path.suffix == ".safetensors":
            return _finite(load_file(path, device=str(device)), path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about pickle protocols, which do not matter here
            state = torch.load(path, map_location=device, weights_only=True)
    except UserError:
        raise
    except (SafetensorError, RuntimeError, EOFError, ValueError, OSError) as error:
        if "TorchScript" in str(error):
            raise UserError(_about_objects(path, "torch.jit.load")) from None
        raise UserError(f"{path}: cannot be read as model weights: {str(error) or 'it ends too soon'}") from None
    except Exception:  # pickle.UnpicklingError, or anything a malicious file may raise
        raise UserError(_about_objects(path)) from None
    return _finite(_state_in(state, path), path)


def _state_in(content: Any, path: Path) -> dict[str, Tensor]:
    """The state dict in the content of a file."""
    if _is_state(content):
        return content
    entries = content if isinstance(content, dict) else {}
    found = [name for name, value in entries.items() if _is_state(value) and value]
    if len(found) == 1:
        return entries[found[0]]
    several = f"; it holds several: {', '.join(map(str, found))}; save one alone" if found else ""
    raise UserError(f"{path}: expected a state dict of tensors{several}")


def _is_state(value: Any) -> bool:
    return isinstance(value, dict) and all(
        isinstance(name, str) and isinstance(tensor, Tensor) and tensor.layout == torch.strided
        for name, tensor in value.items()
    )


def _finite(state: dict[str, Tensor], path: Path) -> dict[str, Tensor]:
    """The state; refuses values that are NaN or infinite in fp32."""
    bad = {name: int((~value.float().isfinite()).sum()) for name, value in state.items() if value.is_floating_point()}
    shown = [f"{name} ({count} of {state[name].numel()})" for name, count in bad.items() if count]
    if shown:
        more = f" and {len(shown) - 3} further tensors" if len(shown) > 3 else ""
        raise UserError(f"{path}: weights that are NaN or infinite in {', '.join(shown[:3])}{more}")
    return state


def _about_objects(path: Path, load: str = "torch.load") -> str:
    """Advice on a file with code or Python objects, which are never unpickled, or on a file that is not torch's."""
    with path.open("rb") as file:
        head = file.read(9)
    if head[8:] == b"{":
        return f"{path}: these are safetensors; give the file a name that ends with .safetensors"
    if not head.startswith((b"PK", b"\x80")):  # a zip or a pickle
        return f"{path}: no file of weights; it begins with {head!r}, as a page or a text does: download it again"
    try:
        names = torch.serialization.get_unsafe_globals_in_checkpoint(path)
    except Exception:  # not a file of torch
        names = []
    inside = f" ({', '.join(sorted(names)[:3])}{', …' if len(names) > 3 else ''})" if names else ""
    is_model = load != "torch.load" or any(name.startswith(("torch.nn.", "torchvision.models.")) for name in names)
    option = ", weights_only=False" if load == "torch.load" else ""
    state = "content.state_dict()" if is_model else 'content["state_dict"]'
    return (
        f"{path}: refused, it holds more than tensors: {'a whole model' if is_model else 'objects'}{inside}, and "
        "reading these can run anything. If you trust the file, save its state and name that:\n"
        f'    content = {load}("{path}"{option})\n'
        f'    torch.save({state}, "state.pt")'
    )
