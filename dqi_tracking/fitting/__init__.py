"""What is learned from many finished runs, and the files it is kept in."""
