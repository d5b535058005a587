"""What an operator sees of a running process: its log files and its terminal lines."""
