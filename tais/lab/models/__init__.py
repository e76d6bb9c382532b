"""Models that TAIS keeps in the user's cache: fetched, converted, made of another, checked where used."""
