"""The notation of the results, LaTeX text: the book of derivations and docs/theory print it."""

from __future__ import annotations

NOTATION = (
    r"$\theta \in \mathbb R^P$: all weights, layer 1 first, each matrix row-major. $W_j \in \mathbb R^{d_j\times "
    r"d_{j-1}}$, $j = 1,\dots,n$; depth $n \ge 1$; $s_j = \|W_j\|$.",
    r"$W_{j':j} = W_{j'}\cdots W_j$ for $j \le j'$, the identity otherwise; empty products are 1. $W_{n:1}$ is the "
    r"end-to-end matrix.",
    r"Homogeneous activation $\sigma(z) = \alpha z$ for $z \ge 0$ and $\bar\alpha z$ for $z < 0$. Linear: $\alpha = "
    r"\bar\alpha = 1$; ReLU: $\alpha = 1$, $\bar\alpha = 0$; leaky: $\alpha = 1$, $0 < \bar\alpha < 1$.",
    r"$h_\theta(x) = W_n\sigma(W_{n-1}\cdots\sigma(W_1x))$ without biases; $f(\theta) = "
    r"\frac1N\sum_i\ell(h_\theta(x_i),y_i)$. Square loss $\frac12\|\hat y-y\|^2$; logistic $\log(1+e^{-y\hat y})$ "
    r"and exponential $e^{-y\hat y}$ with $y = \pm1$; cross-entropy after softmax.",
    r"Linear networks: $f(\theta) = \varphi(W_{n:1})$. Square loss: $\nabla\varphi(W) = W\Sigma_{xx}-\Lambda_{yx}$, "
    r"$\Sigma_{xx} = \frac1NXX^\top$, $\Lambda_{yx} = \frac1NYX^\top$. Whitened: $\Sigma_{xx} = I$.",
    r"$D_{i,j}$: the diagonal matrix of $\sigma'$ at sample $i$, layer $j$. Where no gate changes, $h$ is "
    r"multilinear in the layers.",
    r"Biases, skip connections, output scale (R32 to R35): $z_j = W_ja_{j-1}+b_j$, $a_0 = x$, $a_j = \sigma_j(z_j)+"
    r"\sum_{(i,j)}a_i$ over the skip connections $(i,j)$, $a_n$ without activation, $h = c\,a_n$. The scale belongs to "
    r"the loss: $\nabla\ell_i$ and $\nabla^2\ell_i$ are those of $\ell(c\,\cdot,y_i)$. Of a diagonal layer $W_j = "
    r"\operatorname{Diag}(w_j)$. Activations may differ from layer to layer; $\max\{|\alpha|,|\bar\alpha|\}$ is then "
    r"over all of them.",
    r"$\|\cdot\|$ is the spectral norm of matrices and the Euclidean norm of vectors, $\|\cdot\|_F$ the Frobenius "
    r"norm; $g = \nabla f$, $G_j = \partial f/\partial W_j$, $H = \nabla^2f$, $H[\Delta,\Delta] = "
    r"\langle\Delta,H\Delta\rangle$.",
    r"Gradient descent $\theta_{k+1} = \theta_k-\eta g(\theta_k)$; gradient flow $\dot\theta = -g(\theta)$; the "
    r"deviation is $\|\theta_k-\theta(k\eta)\|$. $B_\varepsilon(\theta)$ is the open ball.",
    r"A dot is the derivative in time (in plain text, which has no dots, a prime). A prime is the derivative of a "
    r"function of one variable ($\sigma'$, $\ell'$) or the "
    r"Jacobian of a field ($F_0'$); $j'$ is a second index, and $\theta'$ a second point, at which $W_l'$, $A'$, "
    r"$\nabla\varphi'$ are taken.",
)
