"""What is said of a patient: sealed, found again by keyed hashes, and erased."""
