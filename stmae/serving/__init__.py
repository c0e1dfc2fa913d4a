"""Serving: the embedded Triton, the gRPC client, and publishing. No torch."""
