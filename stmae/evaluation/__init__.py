"""Evaluation of trained models, and studies that compare them."""

ROWS = ("combined", "prediction", "motion", "appearance", "persistence", "psnr", "flow_magnitude")
"""What evaluations compare: the score, each detector alone, PSNR alone, and a baseline that learnt nothing."""
