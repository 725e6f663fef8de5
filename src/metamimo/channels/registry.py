"""Channel models by name."""

from metamimo.registry import Registry

CHANNELS = Registry(
    "channel",
    {
        "correlated_rayleigh": "metamimo.channels.rayleigh:correlated_rayleigh",
        "plane_waves": "metamimo.channels.plane_waves:scattered_waves",
    },
)
