"""Training tools: `normgrad.nn.torch` and `normgrad.nn.jax`, each loaded when it is imported."""

__all__: list[str] = []
