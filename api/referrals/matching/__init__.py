"""Which clinics can take a referral, and in which order."""
