"""STM-AE: two encoders, two memory pools, a prediction decoder; a discriminator and a flow net beside them."""
