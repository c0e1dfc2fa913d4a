"""What serving costs: frames a second of every way to score footage, from a research loop to the nightly job."""
