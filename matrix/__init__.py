"""The suite on QEMUs and kernels other than the distribution's: `python -m matrix`."""
