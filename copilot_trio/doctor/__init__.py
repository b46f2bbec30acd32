"""What may be wrong, found one check at a time: each says how it is and what to do. Nothing is changed."""
