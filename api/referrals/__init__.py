"""Referrals: from a physician to the clinic that takes them."""
