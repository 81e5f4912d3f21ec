"""JAX on several devices: arrays in parts, each on its own."""

import subprocess
import sys

import jax
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
x = jax.device_put(A, NamedSharding(mesh, P("d")))
for ord in ("nuc", 1):
    got = normgrad.value_and_grad(x, ord)[1], normgrad.subgradient_distance(x, 2 * x, ord)
    want = normgrad.grad(A, ord), normgrad.subgradient_distance(A, 2 * A, ord)
    for a, b in zip(got, want):
        np.testing.assert_allclose(a, b, atol=1e-12)
G = normgrad.grad(x, logdet)
np.testing.assert_allclose(G[0], normgrad.grad(jnp.asarray(A[0]), logdet), atol=1e-12)
print(normgrad.explain(x, 2))
"""

ON_EACH = """
B = rng.standard_normal((2, 30, 20))
big = rng.standard_normal((2, 460, 450))
norms = lambda X: np.linalg.norm(X, 2, axis=(1, 2))

def on_each(f, x):
    split = jax.shard_map(lambda x: f(x[0])[None], mesh=mesh, in_specs=P("d"), out_specs=P("d"))
    return jax.jit(split)(jnp.asarray(x))

np.testing.assert_allclose(on_each(lambda x: normgrad.track(x)[0], B), norms(B), rtol=1e-12)
G = on_each(jax.grad(normgrad.spectral_norm), big)
np.testing.assert_allclose(np.sum(G * big, axis=(1, 2)), norms(big), rtol=1e-12)
# what is the same on each device stays so
same = jax.shard_map(lambda x: normgrad.track(x)[0], mesh=mesh, in_specs=P(), out_specs=P())
np.testing.assert_allclose(jax.jit(same)(jnp.asarray(B[0])), norms(B)[0], rtol=1e-12)
"""


recent = pytest.mark.skipif(not hasattr(jax, "shard_map"), reason="JAX before jax.shard_map")


@pytest.mark.parametrize(
    "code", [IN_PARTS, pytest.param(ON_EACH, marks=recent)], ids=["in parts", "on each"]
)
def test_on_two_devices(code: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", BEGIN + code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
