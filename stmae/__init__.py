"""Video anomaly detection for CCTV archives."""

__version__ = "0.1.0"
