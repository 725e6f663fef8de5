"""Plain NumPy reference of the linear-precoding algorithms of Perović, Bahingayi and Tran (arXiv 2409.00628).

It shares no code with the package, so tests and benchmarks can compare the two. One realisation at a time, complex128,
and the paper's time factor exp(-jwt): propagation matrices, channels and phases are the conjugates of the package's.
Channels are divided by the noise standard deviation, rates are in nats, energy efficiency is rate over power
[nat/s/Hz/W] (`bit_per_joule` converts). Equation numbers are those of the paper.

Shapes: channels h[user, rx, port] and g[user, rx, element], precoders p[user, port, stream] with as many streams as
receive antennas, phases phi[layer, element] (unit-modulus coefficients).
"""

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.complex128]
LineSearch = Literal["increase", "model"]


@dataclass(frozen=True)
class Scenario:
    """Parameters of the paper's default scene; lengths in m, powers in W, noise in W, bandwidth in Hz."""

    n_tx: int = 16
    n_rx: int = 2
    users: int = 4
    layers: int = 4
    elements: int = 100
    wavelength: float = 0.05
    antenna_spacing: float = 0.025
    element_spacing: float = 0.025
    layer_spacing: float = 0.025
    bandwidth: float = 20e6
    max_power: float = 1.0
    noise_power: float = 10**-12.4
    path_loss_exponent: float = 3.5
    distances: tuple[float, float] = (100.0, 200.0)
    per_chain: float = 0.5
    standby: float = 10.0
    per_element: float = 5e-3

    def fixed_power(self, chains: int, layers: int) -> float:
        """Consumed power that does not depend on the transmit power, eq. (10) [W]."""
        return chains * self.per_chain + self.standby + layers * self.elements * self.per_element


@dataclass(frozen=True)
class Options:
    """Numbers of Algorithm 4; `inner_steps` precoder steps and one phase step an outer iteration."""

    inner_steps: int = 2
    line_search: LineSearch = "increase"
    first_step: float = 1000.0
    shrink: float = 0.5
    increase: float = 1e-5
    max_reductions: int = 60
    tolerance: float = 1e-5
    max_iterations: int = 2000
    polish: bool = True


@dataclass
class Run:
    """Outcome: history[i] is the energy efficiency after outer iteration i + 1, `value` that of the final design."""

    phases: Matrix
    precoder: Matrix
    history: list[float] = field(default_factory=list)
    value: float = 0.0
    trials: int = 0
    stalled_steps: int = 0
    converged: bool = False


def grid(count: int, spacing: float, height: float) -> NDArray[np.float64]:
    """Positions of a planar grid centred on the z axis, row by row with x fastest, shape (count, 3)."""
    along_x = max(d for d in range(1, int(np.sqrt(count)) + 1) if count % d == 0)
    index = np.arange(count)
    x = (index % along_x - (along_x - 1) / 2) * spacing
    y = (index // along_x - (count // along_x - 1) / 2) * spacing
    return np.stack([x, y, np.full(count, height)], axis=1)


def propagation(to: NDArray[np.float64], start: NDArray[np.float64], wavelength: float, area: float) -> Matrix:
    """Eq. (1) for every pair of elements of two parallel planes."""
    offset = to[:, None] - start[None, :]
    r = np.sqrt((offset**2).sum(-1))
    cosine = offset[..., 2] / r
    return area * cosine / r * (1 / (2 * np.pi * r) - 1j / wavelength) * np.exp(2j * np.pi * r / wavelength)


def stack_matrices(s: Scenario) -> list[Matrix]:
    """W^1 (N x N_t) and W^2 ... W^L (N x N)."""
    planes = [grid(s.n_tx, s.antenna_spacing, 0.0)]
    planes += [grid(s.elements, s.element_spacing, l * s.layer_spacing) for l in range(1, s.layers + 1)]
    return [propagation(b, a, s.wavelength, s.element_spacing**2) for a, b in pairwise(planes)]


def draw(s: Scenario, trial: int, *, stack: bool = True) -> tuple[Matrix, Matrix]:
    """Noise-normalised channel from the last layer (or, without a stack, from the antennas) and random phases."""
    rng = np.random.default_rng([2409, trial])
    near, far = s.distances
    distance = np.sqrt(rng.uniform(near**2, far**2, s.users))
    gain = (s.wavelength / (4 * np.pi)) ** 2 * distance**-s.path_loss_exponent / s.noise_power
    count, spacing = (s.elements, s.element_spacing) if stack else (s.n_tx, s.antenna_spacing)
    places = grid(count, spacing, 0.0)
    separation = np.sqrt(((places[:, None] - places[None, :]) ** 2).sum(-1))
    root = psd_root(np.sinc(2 * separation / s.wavelength))
    fading = [rng.standard_normal((2, s.n_rx, count)) for _ in range(s.users)]
    g = np.stack([np.sqrt(b / 2) * (w[0] + 1j * w[1]) @ root for b, w in zip(gain, fading, strict=True)])
    return g, np.exp(2j * np.pi * rng.random((s.layers, s.elements)))


def psd_root(matrix: NDArray) -> NDArray:
    """Hermitian square root; eigenvalues that rounding made negative count as zero."""
    value, vector = np.linalg.eigh(matrix)
    return (vector * np.sqrt(np.maximum(value, 0.0))) @ vector.conj().T


def adjoint(a: Matrix) -> Matrix:
    """Conjugate transpose of the last two axes."""
    return a.conj().swapaxes(-1, -2)


def received(h: Matrix, p: Matrix) -> Matrix:
    """H_k P_j for all pairs, z[k, rx, j, stream]."""
    users, rx, ports = h.shape
    return (h.reshape(-1, ports) @ p.swapaxes(0, 1).reshape(ports, -1)).reshape(users, rx, users, -1)


def covariances(z: Matrix) -> tuple[Matrix, Matrix, Matrix, Matrix]:
    """Own part H_k P_k, disturbance [k, rx, (j, stream)], its covariance F_k with noise, and C_k = F_k + own own^H."""
    users, rx = z.shape[:2]
    own = z[np.arange(users), :, np.arange(users)]
    disturbing = (z * ~np.eye(users, dtype=bool)[:, None, :, None]).reshape(users, rx, -1)
    f = np.eye(rx) + disturbing @ adjoint(disturbing)
    return own, disturbing, f, f + own @ adjoint(own)


def sum_rate(z: Matrix) -> float:
    """Sum of eq. (8) over the users [nat per channel use]."""
    _, _, f, c = covariances(z)
    return float((np.linalg.slogdet(c)[1] - np.linalg.slogdet(f)[1]).sum())


def rate_gradient(z: Matrix) -> Matrix:
    """Derivative of the sum rate by z*, (user rx) x (user stream): C_k^-1 H_k P - F_k^-1 H_k P_-k."""
    users, rx = z.shape[:2]
    _, disturbing, f, c = covariances(z)
    slope = np.linalg.inv(c) @ z.reshape(users, rx, -1) - np.linalg.inv(f) @ disturbing
    return slope.reshape(users * rx, -1)


def forward(hops: list[Matrix], phi: Matrix, g: Matrix) -> tuple[Matrix, list[Matrix]]:
    """Effective channels H_k = G_k B of eq. (2) and the inputs b_l of every layer."""
    b = [hops[0]]
    for hop, coefficient in zip(hops[1:], phi, strict=False):
        b.append(hop @ (coefficient[:, None] * b[-1]))
    return (g.reshape(-1, g.shape[-1]) @ (phi[-1][:, None] * b[-1])).reshape(*g.shape[:2], -1), b


def phase_gradient(hops: list[Matrix], phi: Matrix, g: Matrix, b: list[Matrix], h: Matrix, p: Matrix) -> Matrix:
    """Theorem 2, eq. (55): derivative of the sum rate by phi*, with T carried backwards as N_t rows."""
    # sum_k G_k^H (C_k^-1 H_k Q - F_k^-1 H_k Q_-k), with Q = P P^H and Q_-k = P_-k P_-k^H
    slope = rate_gradient(received(h, p)) @ p.swapaxes(0, 1).reshape(p.shape[1], -1).conj().T
    return sweep_back(hops, phi, b, slope.conj().T @ g.reshape(-1, g.shape[-1]))


def sweep_back(hops: list[Matrix], phi: Matrix, b: list[Matrix], t: Matrix) -> Matrix:
    """Conjugate of the diagonal of b_l T_l for every layer, with T_l = T_(l+1) Phi^(l+1) W^(l+1) and T_L = t."""
    gradient = np.empty_like(phi)
    for l in range(len(phi) - 1, -1, -1):
        gradient[l] = (b[l] * t.T).sum(1).conj()
        if l:
            t = (t * phi[l]) @ hops[l]
    return gradient


def project(z: Matrix) -> Matrix:
    """Nearest unit-modulus numbers; zero becomes one."""
    size = np.abs(z)
    return np.where(size > 0, z / np.where(size > 0, size, 1.0), 1.0)


def matched_start(h: Matrix, max_power: float) -> Matrix:
    """P_k proportional to H_k^H at full power."""
    p = adjoint(h)
    return p * np.sqrt(max_power / (np.abs(p) ** 2).sum())


def energy_efficiency(h: Matrix, p: Matrix, fixed_power: float) -> float:
    """Sum rate over consumed power [nat/s/Hz/W]."""
    return sum_rate(received(h, p)) / (fixed_power + float((np.abs(p) ** 2).sum()))


def block_diagonal(blocks: Matrix) -> Matrix:
    """One matrix from blocks[k]."""
    count, rows, columns = blocks.shape
    out = np.zeros((count, rows, count, columns), complex)
    out[np.arange(count), :, np.arange(count)] = blocks
    return out.reshape(count * rows, -1)


def rate_bound(h: Matrix, p: Matrix) -> tuple[float, Matrix, Matrix, float]:
    """Eq. (44) around p: constant c, curvature blkdiag(E_k), slope blkdiag(Gamma_k), and the rate at p."""
    own, _, f, c = covariances(received(h, p))
    f_inverse = np.linalg.inv(f)
    gamma = f_inverse @ own
    d = adjoint(own) @ gamma
    e = f_inverse - np.linalg.inv(c)
    rate = float(np.linalg.slogdet(np.eye(d.shape[-1]) + d)[1].sum())
    constant = rate - float(np.trace(d, axis1=1, axis2=2).real.sum() + np.trace(e, axis1=1, axis2=2).real.sum())
    return constant, block_diagonal(e), block_diagonal(gamma), rate


def ratio_root(constant: float, b: NDArray, sigma: NDArray, fixed_power: float, start: float) -> float:
    """Root of F(eta) = c - eta P_fix + sum b / (eta + sigma) by Newton from the left, eqs. (28) to (30)."""
    eta = start
    for _ in range(200):
        share = b / (eta + sigma)
        step = (constant - eta * fixed_power + share.sum()) / (fixed_power + (share / (eta + sigma)).sum())
        eta += step
        if abs(step) <= 1e-14 * eta:
            break
    return eta


def limited_price(b: NDArray, sigma: NDArray, max_power: float) -> float:
    """Price nu with sum b / (nu + sigma)^2 = P_max, by bisection."""
    low, high = 0.0, float(np.sqrt(b.sum() / max_power))
    while high - low > 1e-14 * high:
        middle = (low + high) / 2
        if (b / (middle + sigma) ** 2).sum() > max_power:
            low = middle
        else:
            high = middle
    return high


def precoder_steps(h: Matrix, p: Matrix, fixed_power: float, max_power: float, steps: int) -> Matrix:
    """Steps of Algorithm 3 in the reduced dimension, eqs. (42) to (49), with the power limit inside the step."""
    users, rx, ports = h.shape
    stacked = h.reshape(-1, ports)
    gram = stacked @ stacked.conj().T
    root = psd_root(gram)
    for _ in range(steps):
        constant, curvature, slope, rate = rate_bound(h, p)
        value, vector = np.linalg.eigh(root @ curvature @ root)
        sigma = np.maximum(value, 0.0)
        b = (np.abs(vector.conj().T @ root @ slope) ** 2).sum(1)
        start = rate / (fixed_power + float((np.abs(p) ** 2).sum()))
        price = ratio_root(constant, b, sigma, fixed_power, start)
        if (b / (price + sigma) ** 2).sum() > max_power:
            price = limited_price(b, sigma, max_power)
        x = np.linalg.solve(price * np.eye(users * rx) + curvature @ gram, slope)
        p = (stacked.conj().T @ x).reshape(ports, users, -1).swapaxes(0, 1)
    return p


def algorithm_3(
    h: Matrix, p: Matrix, fixed_power: float, max_power: float, tolerance: float = 1e-9, max_steps: int = 20_000
) -> tuple[Matrix, list[float]]:
    """Precoders for fixed phases, to convergence; returns them and the energy efficiency of every iterate."""
    history = [energy_efficiency(h, p, fixed_power)]
    for _ in range(max_steps):
        p = precoder_steps(h, p, fixed_power, max_power, 1)
        history.append(energy_efficiency(h, p, fixed_power))
        if history[-1] - history[-2] <= tolerance * history[-2]:
            break
    return p, history


def ascend(
    hops: list[Matrix], g: Matrix, phi: Matrix, p: Matrix, fixed_power: float, precode_power: float | None, o: Options
) -> Run:
    """Alternate precoder steps (left out if `precode_power` is None) and one projected-gradient phase step (5.2)."""
    run = Run(phi, p)
    h, b = forward(hops, phi, g)
    step = o.first_step
    while len(run.history) < o.max_iterations and not run.converged:
        if precode_power is not None:
            p = precoder_steps(h, p, fixed_power, precode_power, o.inner_steps)
        rate = sum_rate(received(h, p))
        gradient = phase_gradient(hops, phi, g, b, h, p)
        for _ in range(o.max_reductions + 1):
            trial = project(phi + step * gradient)
            trial_h, trial_b = forward(hops, trial, g)
            trial_rate = sum_rate(received(trial_h, p))
            run.trials += 1
            if trial_rate >= rate + required_gain(o, gradient, trial - phi, step):
                phi, h, b, rate = trial, trial_h, trial_b, trial_rate
                step = min(o.first_step, 2 * step)
                break
            step *= o.shrink
        else:
            run.stalled_steps += 1
            step = o.first_step
        run.history.append(rate / (fixed_power + float((np.abs(p) ** 2).sum())))
        if len(run.history) > 10:
            past = run.history[-11]
            run.converged = run.history[-1] - past < 10 * o.tolerance * past
    if precode_power is not None and o.polish:
        p = algorithm_3(h, p, fixed_power, precode_power)[0]
    run.phases, run.precoder, run.value = phi, p, energy_efficiency(h, p, fixed_power)
    return run


def required_gain(o: Options, gradient: Matrix, change: Matrix, step: float) -> float:
    """How much the rate must grow: a fraction of the squared change, or what the quadratic model promises."""
    size = float((np.abs(change) ** 2).sum())
    if o.line_search == "increase":
        return o.increase * size
    return 2 * float((gradient.conj() * change).real.sum()) - size / step


def sim_lp(s: Scenario, hops: list[Matrix], g: Matrix, phi: Matrix, o: Options | None = None) -> Run:
    """Algorithm 4."""
    start = matched_start(forward(hops, phi, g)[0], s.max_power)
    return ascend(hops, g, phi, start, s.fixed_power(s.n_tx, s.layers), s.max_power, o or Options())


def sim_no_lp(
    s: Scenario, hops: list[Matrix], g: Matrix, phi: Matrix, served: NDArray[np.int_], o: Options | None = None
) -> Run:
    """SIM-NoLP: every antenna carries one stream; `served` users (all, or floor(N_t / N_r) of them) share them."""
    p = np.zeros((s.users, s.n_tx, s.n_rx), complex)
    for user, group in zip(served, np.array_split(np.arange(s.n_tx), len(served)), strict=True):
        for stream, antennas in enumerate(np.array_split(group, s.n_rx)):
            p[user, antennas, stream] = np.sqrt(s.max_power / s.n_tx)
    return ascend(hops, g, phi, p, s.fixed_power(s.n_tx, s.layers), None, o or Options())


def sim_no_lp_red_rf(
    s: Scenario, hops: list[Matrix], g: Matrix, phi: Matrix, antennas: NDArray[np.int_], o: Options | None = None
) -> Run:
    """SIM-NoLP-RedRF: `antennas` (K N_r different ones, user by user) carry one stream each, the others are off."""
    p = np.zeros((s.users, s.n_tx, s.n_rx), complex)
    user, stream = np.divmod(np.arange(s.users * s.n_rx), s.n_rx)
    p[user, antennas, stream] = np.sqrt(s.max_power / antennas.size)
    return ascend(hops, g, phi, p, s.fixed_power(antennas.size, s.layers), None, o or Options())


def lp_no_sim(s: Scenario, h: Matrix) -> tuple[Matrix, list[float]]:
    """LP-NoSIM: Algorithm 3 on the direct channel, no metasurface to feed."""
    return algorithm_3(h, matched_start(h, s.max_power), s.fixed_power(s.n_tx, 0), s.max_power)


def bit_per_joule(efficiency: float, bandwidth: float) -> float:
    """Convert nat/s/Hz/W to bit/J."""
    return efficiency * bandwidth / np.log(2)


def w1_problem(seed: int, elements: int = 100, layers: int = 4) -> tuple[list[Matrix], Matrix, Matrix]:
    """Benchmark of the phase stage alone: hops (W^1 P, W^2, ..., W^L) of a Gaussian stack, channel g, phases."""
    rng = np.random.default_rng(seed)
    users, rx, streams = 4, 2, 8

    def gaussian(*shape: int) -> Matrix:
        return (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)) / np.sqrt(2)

    sent = gaussian(streams, streams)
    hops = [gaussian(elements, streams) / np.sqrt(streams) @ sent / np.linalg.norm(sent)]
    hops += list(gaussian(layers - 1, elements, elements) / np.sqrt(elements))
    g = 10 * gaussian(users, rx, elements) / np.sqrt(elements)
    return hops, g, np.exp(2j * np.pi * rng.random((layers, elements)))


def w1_ascent(
    hops: list[Matrix], g: Matrix, phi: Matrix, iterations: int, first_step: float = 0.05
) -> tuple[Matrix, list[float], int]:
    """Phase ascent for fixed streams along the tangent part t of twice the Wirtinger gradient, with Armijo's rule.

    The step doubles before every iteration and halves after each trial below f + 1e-3 step |t|^2, at most 25 trials.
    Returns the phases, the rates (start included) and the number of trials.
    """
    users, rx, elements = g.shape
    h, b = forward(hops, phi, g)
    rates, trials, step = [sum_rate(h.reshape(users, rx, users, -1))], 0, first_step
    for _ in range(iterations):
        slope = rate_gradient(h.reshape(users, rx, users, -1))
        gradient = 2 * sweep_back(hops, phi, b, slope.conj().T @ g.reshape(-1, elements))
        tangent = gradient - (gradient.conj() * phi).real * phi
        size = float((np.abs(tangent) ** 2).sum())
        step *= 2
        rates.append(rates[-1])
        for _ in range(25):
            trial = project(phi + step * tangent)
            trial_h, trial_b = forward(hops, trial, g)
            rate = sum_rate(trial_h.reshape(users, rx, users, -1))
            trials += 1
            if rate >= rates[-1] + 1e-3 * step * size:
                phi, h, b, rates[-1] = trial, trial_h, trial_b, rate
                break
            step /= 2
    return phi, rates, trials
