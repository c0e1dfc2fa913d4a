"""Synthetic CCTV scenes with exact ground truth, filmed into real video files."""
