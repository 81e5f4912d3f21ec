"""JAX on several devices: arrays in parts, each on its own."""

import subprocess
import sys

import pytest

BEGIN = """
import os
os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=2"
import jax, jax.numpy as jnp, numpy as np, normgrad
from jax.sharding import NamedSharding, PartitionSpec as P
jax.config.update("jax_enable_x64", True)
mesh = jax.sharding.Mesh(np.array(jax.devices()), ("d",))
rng = np.random.default_rng(0)
"""

IN_PARTS = """
A = rng.standard_normal((2, 4, 3))
logdet = normgrad.SpectralFunction(lambda s: jnp.log1p(s * s), lambda s: 2 * s / (1 + s * s))
for spec in (P("d"), P(None, "d")):
    x = jax.device_put(A, NamedSharding(mesh, spec))
    for ord in ("nuc", 2, 1, normgrad.KyFan(2)):
        got = normgrad.value_and_grad(x, ord)[1], normgrad.subgradient_distance(x, 2 * x, ord)
        want = normgrad.grad(A, ord), normgrad.subgradient_distance(A, 2 * A, ord)
        for a, b in zip(got, want):
            np.testing.assert_allclose(a, b, atol=1e-12)
    G = normgrad.grad(x, logdet)
    np.testing.assert_allclose(G[0], normgrad.grad(jnp.asarray(A[0]), logdet), atol=1e-12)
    print(normgrad.explain(x, 2))
"""


@pytest.mark.parametrize("code", [IN_PARTS])
def test_on_two_devices(code: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", BEGIN + code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
