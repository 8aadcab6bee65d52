"""Conservation laws of gradient flow: how many there are, exactly, which they are, and how descent breaks them."""
