"""JAX as it is by default, in single precision alone: no warning of a dtype that is not there."""

import subprocess
import sys

CODE = """
import warnings
import jax.numpy as jnp
import numpy as np
import normgrad

x = jnp.asarray(np.random.default_rng(0).standard_normal((4, 3)), jnp.float32)
assert not jnp.asarray(1.0).dtype == "float64"
warnings.simplefilter("error")
for ord in ("nuc", 2, normgrad.KyFan(2), 1):
    for f in (normgrad.prox, normgrad.project, normgrad.lmo):
        assert f(x, 0.5, ord).dtype == "float32"
    assert normgrad.subgradient_distance(x, normgrad.grad(x, ord), ord) < 1e-5
assert normgrad.polar(x).dtype == "float32"
for y in (x, x[:0]):
    rank = normgrad.singular_value_threshold(y, 0.5)[1]
    assert rank == np.sum(np.linalg.svd(y, compute_uv=False) > 0.5)
"""


def test_no_warnings() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
