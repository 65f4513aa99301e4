"""What sets the descriptors of DeePMD-kit apart, as far as a run has to know it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_ATTENTION = ("se_atten", "dpa1", "se_atten_v2")
"""Their neighbours of all types share the places, and the type is an input of the network."""
_STRIPPED = ("se_a_ebd_v2", "se_a_tpe_v2")
"""`se_e2_a` with a type embedding in a network of its own."""
_LISTED = (
    "se_e2_a",
    "se_a",
    "se_e2_r",
    "se_r",
    "se_e3",
    "se_at",
    "se_a_3be",
    "se_t",
    *_STRIPPED,
)
_DEFAULT_ATTENTION_LAYERS = 2


def _kind(descriptor: Mapping[str, Any]) -> str:
    return str(descriptor.get("type", "se_e2_a"))


def has_shared_places(descriptor: Mapping[str, Any]) -> bool:
    """Whether `sel` is one number for the neighbours of all types together."""
    return _kind(descriptor) in _ATTENTION


def has_type_embedding(descriptor: Mapping[str, Any], *, backend: str) -> bool:
    """Whether DeePMD-kit adds a type embedding to the model by itself."""
    return backend == "tensorflow" and _kind(descriptor) in (*_ATTENTION, *_STRIPPED)


def sel_fault(descriptor: Mapping[str, Any], type_map: Sequence[str]) -> str:
    """What is wrong with a `sel` that a configuration gives; empty when nothing is.

    Parameters
    ----------
    descriptor
        Section of the configuration.
    type_map
        Elements in the order of the model's types.
    """
    sel = descriptor.get("sel", "auto")
    if isinstance(sel, str) or _kind(descriptor) not in _LISTED:
        return ""
    if isinstance(sel, list) and len(sel) == len(type_map):
        return ""
    return (
        f"found {sel}, allowed for {_kind(descriptor)}: one number for each of "
        f"{', '.join(type_map)}, with or without a type embedding; leave `sel` out to have it "
        "found from the data"
    )


def compression_fault(
    descriptor: Mapping[str, Any], *, backend: str, has_embedding: bool
) -> str:
    """Why DeePMD-kit could not compress such a model; empty when it can, or is not known.

    Parameters
    ----------
    descriptor
        Section of the configuration.
    backend
        Of DeePMD-kit, by its name in the configuration.
    has_embedding
        Whether the configuration gives a type embedding.
    """
    kind = _kind(descriptor)
    if kind in _ATTENTION:
        is_stripped = kind == "se_atten_v2" or descriptor.get("tebd_input_mode") == "strip"
        if not is_stripped:
            return f"{kind} can be compressed with `tebd_input_mode: strip` alone"
        layers = descriptor.get("attn_layer", _DEFAULT_ATTENTION_LAYERS)
        if backend != "pytorch" and layers != 0:
            return f"{kind} can be compressed with `attn_layer: 0` alone, found {layers}"
    elif has_embedding and kind not in _STRIPPED:
        return f"{kind} with a type embedding cannot be compressed; se_a_ebd_v2 can"
    return ""
