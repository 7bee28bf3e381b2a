"""Attention relation graph distillation (Xia et al., IJCAI 2022)."""
