"""Neural attention distillation (Li et al., ICLR 2021)."""
