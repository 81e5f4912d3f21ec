"""What users of sparse matrices suffer from, as they say in public: one test for each thread."""

import numpy as np
import scipy.sparse
import torch

import normgrad


def _with_known_values(rng, s, rotations):
    """Return a sparse matrix with the singular values s: Givens rotations of a diagonal."""
    A = np.diag(s)
    angles = rng.uniform(0, 3, rotations)
    for side in (A, A.T):
        for i, angle in zip(rng.permutation(len(s) - 1)[:rotations], angles, strict=True):
            c, d = np.cos(angle), np.sin(angle)
            side[[i, i + 1]] = np.array([[c, -d], [d, c]]) @ side[[i, i + 1]]
    return scipy.sparse.csr_array(A)


def test_scipy_7268_spectral_norm_of_a_sparse_matrix():
    """scipy#7268: the 2-norm of sparse matrices is missing; by svds it has no gradient."""
    rng = np.random.default_rng(7268)
    s = np.concatenate([[7.0, 7.0, 6.5], rng.uniform(0, 6, 397)])
    A = _with_known_values(rng, s, 200)
    assert A.nnz < 0.1 * A.shape[0] ** 2
    assert normgrad.explain(A, 2).factorization == "lanczos"
    value, gradient = normgrad.value_and_grad(A, 2)
    assert abs(value / 7 - 1) < 1e-13
    assert type(gradient) is type(A)
    # the tie is shared: the gradient of least norm, on the stored entries
    U, _, Vh = np.linalg.svd(A.toarray())
    G = (U[:, :2] @ Vh[:2]) / 2
    np.testing.assert_allclose(gradient.data, G[gradient.tocoo().coords], atol=1e-11)


def test_pytorch_69531_gradient_of_leading_singular_values():
    """pytorch#69531: through svd_lowrank, the gradient of a few singular values is wrong."""
    rng = np.random.default_rng(69531)
    s = np.concatenate([[9.0, 8.0, 7.0, 6.0], rng.uniform(0, 5, 296)])
    A = _with_known_values(rng, s, 200).tocoo()
    values = torch.tensor(A.data, requires_grad=True)
    index = torch.tensor(np.stack(A.coords))
    x = torch.sparse_coo_tensor(index, values, A.shape, check_invariants=False)
    norm = normgrad.matrix_norm(x, normgrad.KyFan(4))
    assert abs(float(norm.detach()) / 30 - 1) < 1e-13
    norm.backward()
    U, _, Vh = np.linalg.svd(A.toarray())
    G = U[:, :4] @ Vh[:4]
    np.testing.assert_allclose(values.grad, G[A.coords], atol=1e-11)
