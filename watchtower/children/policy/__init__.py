"""What is decided about children. Pure: durations and kinds of exit in, decisions out; no process and no clock."""
