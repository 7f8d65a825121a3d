"""Models on disk: safetensors without metadata, so that the same weights give the same bytes."""

import warnings
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from robust3d.errors import UserError


def save_state(state: Mapping[str, Tensor], path: Path) -> None:
    """Write tensors from any device, each with memory of its own."""
    save_file({name: value.detach().cpu().contiguous().clone() for name, value in state.items()}, path)


def load_state(path: Path, device: torch.device | str = "cpu") -> dict[str, Tensor]:
    """Read a state dict: safetensors, or a foreign ``.pt``/``.pth`` without running what it may contain.

    Raises:
        UserError: missing, damaged, or not a plain mapping of names to tensors.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    try:
        if path.suffix == ".safetensors":
            return load_file(path, device=str(device))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about pickle protocols: what counts is whether it is refused
            state = torch.load(path, map_location=device, weights_only=True)
    except (SafetensorError, RuntimeError, EOFError, ValueError, OSError) as error:
        raise UserError(f"{path}: cannot be read as model weights: {error}") from None
    except Exception as error:  # pickle.UnpicklingError and whatever a hostile file provokes
        raise UserError(f"{path}: refused, it holds more than tensors ({type(error).__name__})") from None
    if isinstance(state, dict) and isinstance(state.get("state_dict"), dict):
        state = state["state_dict"]
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise UserError(f"{path}: expected a state dict of tensors")
    return state
