"""Evaluation of trained models, and studies that compare them."""

from stmae.scoring import DETECTORS

ROWS = ("combined", *DETECTORS, "psnr", "flow_magnitude")
"""What evaluations compare: the score, each detector alone, PSNR alone, and a baseline that learnt nothing."""
