"""What a first minute with Beton needs besides Beton: somebody who receives its signals."""
