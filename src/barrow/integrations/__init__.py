"""barrow inside serving engines and libraries; each module needs its engine only when it is called."""
