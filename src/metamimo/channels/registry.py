"""Channel models by name."""

from metamimo.registry import Registry

CHANNELS = Registry(
    "channel",
    {
        "clustered": "metamimo.channels.clustered:clustered_paths",
        "correlated_rayleigh": "metamimo.channels.rayleigh:correlated_rayleigh",
        "dipole_field": "metamimo.channels.dipole_field:dipole_field",
        "near_field": "metamimo.channels.near_field:near_field",
        "plane_waves": "metamimo.channels.plane_waves:scattered_waves",
    },
)
