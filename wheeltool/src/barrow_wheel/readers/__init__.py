"""Bounded readers: they turn untrusted bytes into small frozen records, and never run or write what they read."""
