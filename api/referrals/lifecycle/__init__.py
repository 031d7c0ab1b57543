"""The life of a referral: what may happen to it, and what follows. Pure."""
