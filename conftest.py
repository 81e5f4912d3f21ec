"""One thread for each of pytest's workers: more than there are cores would wait for each other."""

import os

for pool in ("OMP", "MKL", "OPENBLAS"):
    os.environ.setdefault(f"{pool}_NUM_THREADS", "1")
