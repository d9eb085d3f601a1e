"""One small loop that trains many models at once: the same layer, several draws of its weights and learning rates."""
