"""Memory and disk of servers with made-up catalogues, beside what `itemlens size` says."""
