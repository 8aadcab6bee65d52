"""How long deep linear networks with one output train: R15 (flow), R16 (descent), and both for a random start.

Common setting: depth n >= 2, d_n = 1, square loss, whitened data, balanced start. Then everything depends on the norm
w = ||W_{n:1}||, the target norm lambda = ||Lambda_yx|| and the cosine nu between W_{n:1} and Lambda_yx, and
E = f - f* = (w^2 - 2 lambda nu w + lambda^2) / 2.
"""
