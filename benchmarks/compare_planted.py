"""`one-pass` that sleeps and holds memory, for `compare_noise.py`; never a method of a configuration."""

import os
import time

from somaray.methods import one_pass
from somaray.methods.one_pass import compute_hvg as of_one_pass


def compute_hvg(source, run, hvg, client, phase):
    """Compute as `one-pass` does, with pages held and touched the whole time, and a pause in the HVG phase."""
    held = bytearray(int(os.environ["SOMARAY_PLANTED_BYTES"]))
    table = of_one_pass(source, run, hvg, client, phase)
    with phase("hvg"):
        time.sleep(float(os.environ["SOMARAY_PLANTED_SECONDS"]))
    assert held is not None
    return table


is_chunk_read = getattr(one_pass, "is_chunk_read", None)
