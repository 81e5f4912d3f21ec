r"""
Telling quantum states and channels apart: the trace distance
=============================================================

The trace distance of two density matrices is half a nuclear norm::

    T(rho, sigma) = ||rho - sigma||_* / 2 = max { tr P (rho - sigma) : 0 <= P <= I }.

The best measurement P tells the two, equally likely, apart with probability ``(1 + T) / 2``
(Helstrom). The gradient of the nuclear norm at ``rho - sigma`` is the sign G of that matrix, and
``P = (I + G) / 2``: the subgradient of least norm is 0 on the kernel, where the outcome does not
matter, so that P tosses a coin there.

The fidelity ``F = ||sqrt(rho) sqrt(sigma)||_*`` is another nuclear norm, and the two hold each
other in bounds (Fuchs, van de Graaf), with equality on the right for pure states::

    1 - F  <=  T  <=  sqrt(1 - F^2).

Two channels are told apart by what they make of an input. Pauli channels with probabilities p and
q for the four Pauli matrices are best told apart with an input entangled with a second qubit that
is left alone, to ``T = ||p - q||_1 / 2``. With a single qubit the most is half the largest of the
numbers ``|(1, 1, -1, -1) . (p - q)|``, and the same with the signs permuted, which are by how much
the channels differ in the factors that shrink the axes of the Bloch ball. Gradient ascent in the
input, its amplitudes a complex matrix A and its state ``vec(A) / ||A||_F``, has to find both.

References
----------
C. W. Helstrom, Quantum Detection and Estimation Theory, Academic Press (1976). C. A. Fuchs, J. van
de Graaf, Cryptographic distinguishability measures for quantum-mechanical states, IEEE Trans.
Inform. Theory 45 (1999). M. F. Sacchi, Optimal discrimination of quantum operations, Phys. Rev. A
71 (2005). J. Watrous, The Theory of Quantum Information, Cambridge (2018), ch. 3.
"""

import os
import sys
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

import normgrad

SHORT = "NORMGRAD_SHORT" in os.environ
PAIRS, STEPS = (200, 150) if SHORT else (2000, 400)

jax.config.update("jax_enable_x64", True)
rng = np.random.default_rng(0)


def states(count: int, d: int, rank: int) -> np.ndarray:
    """Return random density matrices."""
    X = rng.standard_normal((count, d, rank)) + 1j * rng.standard_normal((count, d, rank))
    rho = X @ X.conj().mT
    return rho / np.trace(rho, axis1=-2, axis2=-1)[:, None, None].real


def root(rho: np.ndarray) -> np.ndarray:
    """Return the positive square roots."""
    w, V = np.linalg.eigh(rho)
    return (V * np.sqrt(np.maximum(w, 0.0))[:, None, :]) @ V.conj().mT


# %%
# States, with NumPy
# ------------------
# Distance, best measurement, fidelity; a batch is one call.

pairs, worst_measurement, worst_bound, worst_pure = [], 0.0, 0.0, 0.0
for d, rank in ((2, 1), (2, 2), (4, 1), (4, 2), (4, 4)):
    rho, sigma = states(PAIRS, d, rank), states(PAIRS, d, rank)
    if rank > 1:
        rho = rho + 0.9 * rng.random((PAIRS, 1, 1)) * (sigma - rho)  # from far to near
    value, G = normgrad.value_and_grad(rho - sigma, "nuc")
    T = value / 2
    P = (np.eye(d) + G) / 2
    advantage = np.einsum("bij,bji->b", P, rho - sigma).real
    outside = np.maximum(-np.linalg.eigvalsh(P), np.linalg.eigvalsh(P) - 1).max()
    worst_measurement = max(worst_measurement, np.abs(advantage - T).max(), outside)
    F = np.minimum(normgrad.nuclear_norm(root(rho) @ root(sigma)), 1.0)
    upper = np.sqrt(1 - F**2)
    worst_bound = max(worst_bound, (1 - F - T).max(), (T - upper).max())
    if rank == 1:
        worst_pure = max(worst_pure, np.abs(T - upper).max())
    pairs.append((d, rank, F, T))
print(f"{len(pairs) * PAIRS} pairs of states in dimension 2 and 4:")
print(f"  measurement from the gradient: 0 <= P <= I and advantage T to {worst_measurement:.0e}")
print(f"  Fuchs and van de Graaf's bounds exceeded by at most {worst_bound:.0e}")
print(f"  pure states on the upper bound to {worst_pure:.0e}")


# %%
# A rotated qubit, with JAX
# -------------------------
# T is half the distance of the Bloch vectors, ``|r| sin(angle / 2)``.

pauli = jnp.array([[[1, 0], [0, 1]], [[0, 1], [1, 0]], [[0, -1j], [1j, 0]], [[1, 0], [0, -1]]])
mixed = (pauli[0] + 0.8 * pauli[1]) / 2


@jax.jit
@jax.value_and_grad
def rotated(angle: jax.Array) -> jax.Array:
    """Return the distance of a state to itself turned about the z axis."""
    U = jnp.cos(angle / 2) * pauli[0] - 1j * jnp.sin(angle / 2) * pauli[3]
    return normgrad.nuclear_norm(U @ mixed @ U.conj().T - mixed) / 2


error = 0.0
for angle in (0.3, 1.1, 2.9):
    T, slope = rotated(angle)
    error = max(error, abs(T - 0.8 * np.sin(angle / 2)), abs(slope - 0.4 * np.cos(angle / 2)))
    print(f"rotated by {angle}: T {T:.6f}, dT/dangle {slope:.6f}")


# %%
# Channels
# --------
# The input that tells two Pauli channels apart best, alone and entangled.

p, q = np.array([0.70, 0.10, 0.12, 0.08]), np.array([0.40, 0.25, 0.22, 0.13])
signs = np.array([[1, 1, -1, -1], [1, -1, 1, -1], [1, -1, -1, 1]])
best = {1: np.abs(signs @ (p - q)).max() / 2, 2: np.abs(p - q).sum() / 2}


def distance(parameters: jax.Array) -> jax.Array:
    """Return T of the two outputs for amplitudes A, a qubit by what it is entangled with."""
    A = jax.lax.complex(*parameters)
    psi = A / normgrad.frobenius_norm(A)
    outputs = (pauli @ psi).reshape(4, -1)  # the input after each of the four Pauli matrices
    return normgrad.nuclear_norm(jnp.einsum("k,ki,kj->ij", p - q, outputs, outputs.conj())) / 2


@partial(jax.jit, static_argnames="steps")
def ascend(parameters: jax.Array, steps: int) -> jax.Array:
    """Return the distances along gradient ascent."""

    def step(parameters: jax.Array, _: None) -> tuple[jax.Array, jax.Array]:
        T, slope = jax.value_and_grad(distance)(parameters)
        return parameters + slope, T

    return jax.lax.scan(step, parameters, length=steps)[1]


paths = {k: np.asarray(ascend(rng.standard_normal((2, 2, k)), STEPS)) for k in best}
for k, name in ((1, "one qubit"), (2, "entangled with a second qubit")):
    print(f"channels, {name}: T {paths[k][0]:.4f} -> {paths[k][-1]:.8f}, best {best[k]:.8f}")
short = max(abs(paths[k][-1] - best[k]) for k in best)
print(
    f"result: measurement {worst_measurement:.1e} < 1e-10, bounds {worst_bound:.1e} < 1e-12, "
    f"slope {error:.1e} < 1e-12, optimum {short:.1e} < 1e-6"
)

# %%
# As a picture.

if len(sys.argv) > 1:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    for d, rank, F, T in pairs:
        if rank == 1:
            continue
        above, colour = (3, "tab:red") if d == 2 else (2, None)  # (the others lie where they do)
        name = f"dimension {d}, rank {rank}"
        left.plot(F, T, ".", markersize=2, color=colour, zorder=above, label=name)
    F = np.linspace(0, 1, 400)
    left.fill_between(F, 1 - F, np.sqrt(1 - F**2), color="#eeeeee", linewidth=0)
    left.plot(F, np.sqrt(1 - F**2), "k", F, 1 - F, "k", linewidth=1)
    left.annotate("sqrt(1 - F²): pure states", (0.55, 0.87))
    left.annotate("1 - F", (0.15, 0.62))
    left.set_xlabel("fidelity F")
    left.set_ylabel("trace distance T")
    left.legend(frameon=False, markerscale=5, loc="lower left")
    left.set_aspect("equal")
    for k, name, colour in ((1, "one qubit", "#b0651d"), (2, "entangled", "#1f77b4")):
        right.plot(paths[k], color=colour, label=name)
        right.axhline(best[k], color=colour, linewidth=1, linestyle=":")
    right.plot([], [], "k:", linewidth=1, label="best, in closed form")
    right.set_xlabel("step of gradient ascent in the input")
    right.set_ylabel("trace distance of the outputs")
    right.set_xlim(0, 120)
    right.legend(frameon=False, loc="lower right")
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(sys.argv[1], dpi=100)
