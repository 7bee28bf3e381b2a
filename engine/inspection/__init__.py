"""What a stranger's checkpoint is: which network its shapes are those of, how many classes it tells apart."""
