"""The routes of the application that moves: which there are, what becomes of each, and requests that exercise them."""
