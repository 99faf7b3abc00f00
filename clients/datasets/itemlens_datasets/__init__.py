"""Data sets as a server takes them: mapping files over rows, and the catalogue that is bundled."""
