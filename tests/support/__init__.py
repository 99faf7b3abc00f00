"""What tests of several packages share: spaces, servers, sample files."""
