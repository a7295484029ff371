"""nmt-cli: neural machine translation with recurrent models and attention, on JAX."""

__version__ = "0.1.0"
