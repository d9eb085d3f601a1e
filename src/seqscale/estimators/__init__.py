"""WHAT IS READ FROM SAMPLES: arrays in, numbers out, always scored on sequences that nothing was fitted to."""
