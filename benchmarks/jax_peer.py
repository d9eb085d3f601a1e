"""jax's side of the benchmarks: a process that computes what it is told, in jax, and says how long that took.

    python benchmarks/jax_peer.py THREADS

Each line of its input is one request in JSON, each line of its output the answer:

    {"load": path of a .npz file}                        -> {}
    {"function": name, "mode": mode, "times": n}         -> {"seconds": s}, of n calls after one another
    {"function": name, "mode": mode, "save": path}       -> {}, the outputs written to a .npz file

Modes: "forward", and "both", which is the outputs and the gradients of all arrays by jax.vjp; either is one jitted
function. jax takes one thread for each core that it may run on, so where the system lets it (Linux) it is given THREADS
cores, by os.sched_setaffinity before jax is imported. Arrays are kept with time first, as
jax.lax.scan takes them, so that jax pays for no transposition that ours does not need. The clock is that of
`rounds.clock_of`.
"""

from __future__ import annotations

import json
import os
import sys
import time

import numpy as np

BY_TIME = {"x", "b", "delta", "b_t", "c_t", "q", "k", "v", "beta", "gy", "y"}  # arrays that come as (batch, time, ...)

DECAY = 0.97  # of linear attention, for each token


def functions() -> dict:
    """Return the recurrences by name: from arrays by name to the outputs, time first. Equations: `seqscale.layers`."""
    import jax
    import jax.numpy as jnp

    def elman(x, w_x, w_h, b_x, b_h):
        def step(h, a_t):
            h = jnp.tanh(a_t + h @ w_h.T)
            return h, h

        a = x @ w_x.T + (b_x + b_h)
        return jax.lax.scan(step, jnp.zeros(a.shape[1:]), a)[1]

    def gru(x, w_x, w_h, b_x, b_h):
        units = w_h.shape[1]

        def step(h, a_t):
            r_a, z_a, n_a = jnp.split(a_t, 3, -1)
            r_h, z_h, n_h = jnp.split(h @ w_h.T, 3, -1)
            r, z = jax.nn.sigmoid(r_a + r_h), jax.nn.sigmoid(z_a + z_h)
            n = jnp.tanh(n_a + r * (n_h + b_h[2 * units :]))
            h = (1 - z) * n + z * h
            return h, h

        a = x @ w_x.T + b_x + jnp.concatenate([b_h[: 2 * units], jnp.zeros(units)])
        return jax.lax.scan(step, jnp.zeros((a.shape[1], units)), a)[1]

    def lstm(x, w_x, w_h, b_x, b_h):
        def step(state, a_t):
            h, c = state
            i, f, g, o = jnp.split(a_t + h @ w_h.T, 4, -1)
            c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
            h = jax.nn.sigmoid(o) * jnp.tanh(c)
            return (h, c), h

        a = x @ w_x.T + (b_x + b_h)
        nothing = jnp.zeros((a.shape[1], w_h.shape[1]))
        return jax.lax.scan(step, (nothing, nothing), a)[1]

    def diagonal(a, b):
        def step(h, b_t):
            h = a * h + b_t
            return h, h

        return jax.lax.scan(step, jnp.zeros(b.shape[1:]), b)[1]

    def associative(a, b):
        def together(one, other):
            return one[0] * other[0], other[0] * one[1] + other[1]

        same = jnp.broadcast_to(a, (b.shape[0], 1, a.shape[0]))
        return jax.lax.associative_scan(together, (same, b))[1]

    def selective(x, delta, a, b_t, c_t):
        # h[d, n] = exp(delta[d] a[d, n]) h[d, n] + delta[d] b[n] x[d],   y[d] = sum over n of c[n] h[d, n]
        def step(h, now):
            x, delta, b, c = now
            h = jnp.exp(delta[..., None] * a) * h + (delta * x)[..., None] * b[:, None]
            return h, (h * c[:, None]).sum(-1)

        return jax.lax.scan(step, jnp.zeros((x.shape[1], *a.shape)), (x, delta, b_t, c_t))[1]

    def linear_attention(q, k, v):
        def step(s, now):
            q, k, v = now
            s = DECAY * s + v[..., None] * k[:, None]
            return s, jnp.einsum("bfe,be->bf", s, q)

        return jax.lax.scan(step, jnp.zeros((*v.shape[1:], k.shape[-1])), (q, k, v))[1]

    def delta(q, k, v, beta):
        def step(s, now):
            q, k, v, share = now
            off = v - jnp.einsum("bfe,be->bf", s, k)
            s = s + share[:, None, None] * off[..., None] * k[:, None]
            return s, jnp.einsum("bfe,be->bf", s, q)

        return jax.lax.scan(step, jnp.zeros((*v.shape[1:], k.shape[-1])), (q, k, v, beta))[1]

    known = (elman, gru, lstm, diagonal, associative, selective, linear_attention, delta)
    return {f.__name__.replace("_", "-"): f for f in known}


def by_time(name: str, array: np.ndarray) -> np.ndarray:
    """Return an array of one layout in the other, if it has a time."""
    return np.ascontiguousarray(array.swapaxes(0, 1)) if name.removeprefix("gradient of ") in BY_TIME else array


def main() -> None:
    """Answer requests until there are no more."""
    threads = int(sys.argv[1])
    if hasattr(os, "sched_setaffinity"):  # Linux
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    import jax

    clock = time.process_time if threads == 1 else time.perf_counter
    known, compiled, arrays = functions(), {}, {}

    def both(name):
        def run(given, gy):
            y, back = jax.vjp(lambda given: known[name](**given), given)
            return {"y": y} | {f"gradient of {leaf}": found for leaf, found in back(gy)[0].items()}

        return run

    for name in known:
        compiled[name, "forward"] = jax.jit(lambda given, gy, name=name: {"y": known[name](**given)})
        compiled[name, "both"] = jax.jit(both(name))
    for line in sys.stdin:
        request, answer = json.loads(line), {}
        if "load" in request:
            with np.load(request["load"]) as stored:
                arrays = {name: jax.device_put(by_time(name, stored[name])) for name in stored.files}
            gy = arrays.pop("gy")
        else:
            run = compiled[request["function"], request["mode"]]
            if "save" in request:
                found = {name: by_time(name, np.asarray(value)) for name, value in run(arrays, gy).items()}
                np.savez(request["save"], **found)
            else:
                start = clock()
                for _ in range(request["times"]):
                    jax.block_until_ready(run(arrays, gy))
                answer = {"seconds": clock() - start}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
