"""What differs between kinds of content."""
