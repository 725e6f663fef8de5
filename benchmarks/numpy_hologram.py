"""Plain NumPy implementation of block descent with Lorentzian elements, straight from the equations, as a yardstick."""

import numpy as np


def descend(h, v, states, f, power, noise, iterations, steps=10):
    """Run WMMSE-MM for a number of iterations.

    Args:
        h: channels, shape (cell, user, rx, element); user k of cell l is number l K + k.
        v: waveguide matrix, shape (element, chain).
        states: shape (cell, element).
        f: precoders, shape (cell, chain, own user, stream).
        power: limit of every chain.
        noise: noise power.
        iterations: outer iterations.
        steps: steps of the elements.

    Returns:
        Sum rate [nat] after every iteration, states, precoders.
    """
    cells, users, rx, _ = h.shape
    own = users // cells
    history = []
    u = w = None
    for iteration in range(iterations + 1):
        g = np.einsum("lurm,lm,ms->lurs", h, states, v)
        rate = 0.0
        u, w = [], []
        for number in range(users):
            cell, k = divmod(number, own)
            total = noise * np.eye(rx, dtype=complex)
            for other in range(cells):
                for m in range(own):
                    z = g[other, number] @ f[other][:, m]
                    total += z @ z.conj().T
            z = g[cell, number] @ f[cell][:, k]
            receiver = np.linalg.solve(total, z)
            error = np.eye(z.shape[1]) - z.conj().T @ receiver
            u.append(receiver)
            w.append(np.linalg.inv((error + error.conj().T) / 2))
            rate -= np.linalg.slogdet(error)[1]
        history.append(rate)
        if iteration == iterations:
            return np.array(history), states, f
        states, f = states.copy(), f.copy()
        for cell in range(cells):
            a = sum(g[cell, n].conj().T @ u[n] @ w[n] @ u[n].conj().T @ g[cell, n] for n in range(users))
            mine = range(cell * own, (cell + 1) * own)
            d = np.stack([g[cell, n].conj().T @ u[n] @ w[n] for n in mine], 1)
            flat, d = f[cell].reshape(len(v[0]), -1), d.reshape(len(v[0]), -1)
            for s in range(len(flat)):
                c = d[s] - a[s] @ flat + a[s, s] * flat[s]
                size = np.linalg.norm(c)
                scale = 1 / a[s, s].real if a[s, s].real * np.sqrt(power) >= size else np.sqrt(power) / size
                flat[s] = scale * c
            f[cell] = flat.reshape(f[cell].shape)
            outer = sum(h[cell, n].conj().T @ u[n] @ w[n] @ u[n].conj().T @ h[cell, n] for n in range(users))
            drive = v @ flat
            z = outer * (drive @ drive.conj().T).T
            b = np.zeros(len(v), complex)
            for k, n in enumerate(mine):
                t = (v @ f[cell][:, k]) @ w[n] @ u[n].conj().T @ h[cell, n]
                b += np.diag(t).conj()
            target = 2 * b - 1j * z.sum(1)
            largest = np.linalg.eigvalsh(z)[-1]
            unit = 2 * states[cell] - 1j
            for _ in range(steps):
                pulled = largest * unit - z @ unit + target
                unit = pulled / np.abs(pulled)
            states[cell] = (1j + unit) / 2
    raise AssertionError("unreachable")
