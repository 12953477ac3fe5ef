"""The page: static files, and what they ask for. Serves what the home tells; decides nothing."""
