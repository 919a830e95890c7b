"""The routes of Joan's API, one module per noun."""
