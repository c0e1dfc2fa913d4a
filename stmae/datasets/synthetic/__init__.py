"""Walkway: synthetic CCTV scenes with exact truth, filmed into real video files."""
