"""What builds barrow's wheel and never travels in it: the kernel catalogue and its ahead-of-time compiler."""
