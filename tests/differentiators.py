"""The four engines behind one interface, by each one's own automatic differentiation.

Everything takes and returns NumPy arrays; gradients G have ``d||A|| = Re<G, dA>``.
"""

from typing import Any
from unittest import mock

import autograd
import autograd.numpy as anp
import jax
import jax.numpy as jnp
import numpy as np
import torch

import normgrad
from normgrad.engines import TABLE, torch_small


class Numpy:
    """Without automatic differentiation."""

    def value(self, A: Any, ord: Any, **kw: Any) -> Any:
        return normgrad.matrix_norm(A, ord, **kw)

    def gradient(self, A: Any, ord: Any, **kw: Any) -> Any:
        return normgrad.value_and_grad(A, ord, **kw)[1]

    def slope(self, A: Any, E: Any, ord: Any, **kw: Any) -> Any:
        G = normgrad.grad(A, ord, **kw)
        return np.sum(np.real(np.conj(G) * E), axis=kw.get("axis", (-2, -1)))

    def hvp_reverse(self, A: Any, E: Any, ord: Any, **kw: Any) -> Any:
        return normgrad.hvp(A, E, ord, **kw)

    hvp_forward = hvp_reverse

    def prox(self, A: Any, t: float, ord: Any) -> Any:
        return normgrad.prox(A, t, ord)

    def prox_jvp(self, A: Any, t: float, E: Any, dt: float, ord: Any) -> Any | None:
        return None


class Torch:
    """Reverse over reverse, and forward over reverse."""

    def value(self, A: Any, ord: Any, **kw: Any) -> Any:
        with torch.no_grad():
            return normgrad.matrix_norm(torch.from_numpy(A.copy()), ord, **kw).numpy()

    def _gradient(self, x: Any, ord: Any, **kw: Any) -> Any:
        value = normgrad.matrix_norm(x, ord, **kw).sum()
        return torch.autograd.grad(value, x, create_graph=True)[0]

    def gradient(self, A: Any, ord: Any, **kw: Any) -> Any:
        x = torch.from_numpy(A.copy()).requires_grad_()
        return self._gradient(x, ord, **kw).detach().numpy()

    def slope(self, A: Any, E: Any, ord: Any, **kw: Any) -> Any:
        x, e = torch.from_numpy(A.copy()), torch.from_numpy(E.copy())
        return torch.func.jvp(lambda x: normgrad.matrix_norm(x, ord, **kw), (x,), (e,))[1].numpy()

    def hvp_reverse(self, A: Any, E: Any, ord: Any, **kw: Any) -> Any:
        x = torch.from_numpy(A.copy()).requires_grad_()
        G = self._gradient(x, ord, **kw)
        return torch.autograd.grad(G, x, torch.from_numpy(E.copy()))[0].numpy()

    def hvp_forward(self, A: Any, E: Any, ord: Any, **kw: Any) -> Any:
        x, e = torch.from_numpy(A.copy()), torch.from_numpy(E.copy())

        def gradient(x: Any) -> Any:
            return torch.func.grad(lambda x: normgrad.matrix_norm(x, ord, **kw).sum())(x)

        return torch.func.jvp(gradient, (x,), (e,))[1].numpy()

    def prox(self, A: Any, t: float, ord: Any) -> Any:
        return normgrad.prox(torch.from_numpy(A.copy()), t, ord).numpy()

    def prox_jvp(self, A: Any, t: float, E: Any, dt: float, ord: Any) -> Any:
        point = torch.from_numpy(A.copy()), torch.tensor(t, dtype=torch.float64)
        direction = torch.from_numpy(E.copy()), torch.tensor(dt, dtype=torch.float64)
        return torch.func.jvp(lambda x, t: normgrad.prox(x, t, ord), point, direction)[1].numpy()


class Jax:
    """Reverse over reverse, and forward over reverse, compiled. JAX's gradients are conj(G)."""

    def value(self, A: Any, ord: Any, **kw: Any) -> Any:
        return np.asarray(normgrad.matrix_norm(jnp.asarray(A), ord, **kw))

    def _derivative(self, ord: Any, **kw: Any) -> Any:
        return jax.grad(lambda x: jnp.sum(normgrad.matrix_norm(x, ord, **kw)))

    def gradient(self, A: Any, ord: Any, **kw: Any) -> Any:
        return np.asarray(self._derivative(ord, **kw)(jnp.asarray(A))).conj()

    def slope(self, A: Any, E: Any, ord: Any, **kw: Any) -> Any:
        f = lambda x: normgrad.matrix_norm(x, ord, **kw)  # noqa: E731
        return np.asarray(jax.jvp(f, (jnp.asarray(A),), (jnp.asarray(E),))[1])

    def hvp_reverse(self, A: Any, E: Any, ord: Any, **kw: Any) -> Any:
        pullback = jax.vjp(self._derivative(ord, **kw), jnp.asarray(A))[1]
        # the cotangent pairs without a conjugate with conj(G), so it is E itself
        return np.asarray(pullback(jnp.asarray(E))[0]).conj()

    def hvp_forward(self, A: Any, E: Any, ord: Any, **kw: Any) -> Any:
        derivative = jax.jit(self._derivative(ord, **kw))
        return np.asarray(jax.jvp(derivative, (jnp.asarray(A),), (jnp.asarray(E),))[1]).conj()

    def prox(self, A: Any, t: float, ord: Any) -> Any:
        return np.asarray(normgrad.prox(jnp.asarray(A), t, ord))

    def prox_jvp(self, A: Any, t: float, E: Any, dt: float, ord: Any) -> Any:
        f = lambda x, t: normgrad.prox(x, t, ord)  # noqa: E731
        return np.asarray(jax.jvp(f, (jnp.asarray(A), t), (jnp.asarray(E), dt))[1])


class Autograd:
    """Reverse over reverse, and forward over reverse. Autograd's gradients are conj(G)."""

    def _f(self, ord: Any, **kw: Any) -> Any:
        return lambda x: anp.sum(normgrad.matrix_norm(x, ord, **kw))

    def value(self, A: Any, ord: Any, **kw: Any) -> Any:
        f = lambda x: normgrad.matrix_norm(x, ord, **kw)  # noqa: E731
        return autograd.make_jvp(f)(A)(np.zeros_like(A))[0]

    def gradient(self, A: Any, ord: Any, **kw: Any) -> Any:
        return autograd.grad(self._f(ord, **kw))(A).conj()

    def slope(self, A: Any, E: Any, ord: Any, **kw: Any) -> Any:
        return autograd.make_jvp(lambda x: normgrad.matrix_norm(x, ord, **kw))(A)(E)[1]

    def hvp_reverse(self, A: Any, E: Any, ord: Any, **kw: Any) -> Any:
        gradient = autograd.grad(self._f(ord, **kw))
        return autograd.grad(lambda x: anp.sum(anp.real(gradient(x) * E)))(A).conj()

    def hvp_forward(self, A: Any, E: Any, ord: Any, **kw: Any) -> Any:
        return autograd.make_jvp(autograd.grad(self._f(ord, **kw)))(A)(E)[1].conj()

    def prox(self, A: Any, t: float, ord: Any) -> Any:
        return autograd.make_jvp(lambda x: normgrad.prox(x, t, ord))(A)(np.zeros_like(A))[0]

    def prox_jvp(self, A: Any, t: float, E: Any, dt: float, ord: Any) -> Any:
        in_A = autograd.make_jvp(lambda x: normgrad.prox(x, t, ord))(A)(E)[1]
        in_t = autograd.make_jvp(lambda t: normgrad.prox(A, t, ord))(t)(dt)[1]
        return in_A + in_t


class TorchAlone:
    """PyTorch where small tensors are not left to NumPy, as on other devices."""

    def __init__(self, torch: Any) -> None:
        self.torch = torch

    def __getattr__(self, name: str) -> Any:
        def method(*arguments: Any, **kw: Any) -> Any:
            with mock.patch.object(torch_small, "is_small", return_value=False):
                return getattr(self.torch, name)(*arguments, **kw)

        return method


DIFFERENTIATORS: dict[str, Any] = {
    "numpy": Numpy(),
    "torch": Torch(),
    "torch alone": TorchAlone(Torch()),
    "jax": Jax(),
    "autograd": Autograd(),
}
assert set(TABLE) <= set(DIFFERENTIATORS)
