"""Surfaces and feasible sets by name; an entry is a class with `example()` for the conformance suite."""

from metamimo.registry import Registry

SURFACES = Registry(
    "surface",
    {
        "coupled_stack": "metamimo.surfaces.coupled:CoupledStack",
        "digital": "metamimo.surfaces.digital:FullyDigital",
        "feedforward_stack": "metamimo.surfaces.feedforward:FeedforwardStack",
        "hybrid_fully_connected": "metamimo.surfaces.hybrid:FullyConnectedHybrid",
        "hybrid_sub_connected": "metamimo.surfaces.hybrid:SubConnectedHybrid",
        "microstrip": "metamimo.surfaces.strips:StripArray",
        "multiport": "metamimo.surfaces.multiport:MultiportSurface",
        "parallel_plate": "metamimo.surfaces.parallel_plate:ParallelPlateDMA",
        "stacked": "metamimo.surfaces.stacked:StackedSurface",
    },
)

FEASIBLE_SETS = Registry(
    "feasible set",
    {
        "fixed": "metamimo.surfaces.feasible:Fixed",
        "lorentzian_circle": "metamimo.surfaces.hologram_sets:LorentzianCircle",
        "on_off": "metamimo.surfaces.hologram_sets:OnOff",
        "phase_dependent_amplitude": "metamimo.surfaces.feasible:PhaseDependentAmplitude",
        "quantized_phase": "metamimo.surfaces.feasible:QuantizedPhase",
        "resonance_strength": "metamimo.surfaces.resonance:ResonanceStrength",
        "unit_modulus": "metamimo.surfaces.feasible:UnitModulus",
    },
)
