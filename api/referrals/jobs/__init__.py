"""What happens by itself: deadlines, notices, measurements."""
