"""seqscale measures how a sequence layer scales with sequence length."""
