"""What a person does about accounts while they are in use: the admin API (product.md §2.3)."""
