"""Kinds of radiating elements by name, under which design files keep them; an entry is a frozen dataclass."""

from metamimo.registry import Registry

RADIATORS = Registry(
    "element pattern",
    {
        "dipole_on_plane": "metamimo.physics.patterns:DipoleOnPlane",
        "dipole_pairs": "metamimo.physics.dipole_pairs:DipolePairs",
        "field_sample": "metamimo.physics.patterns:FieldSample",
        "isotropic": "metamimo.physics.patterns:Isotropic",
    },
)
