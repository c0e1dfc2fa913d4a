"""Evaluation of trained models, and studies that compare them."""

from stmae.scoring import DETECTORS

ROWS = ("combined", *DETECTORS, "psnr", "flow_magnitude")
"""What evaluations compare: the score, each detector alone, PSNR alone, and a baseline that learnt nothing."""
MEMORY_FIGURES = ("memory_db", "appearance_items", "motion_items", "appearance_entropy", "motion_entropy")
"""What the last point of the learning curve says of the memories (stmae/training/validation.py)."""
