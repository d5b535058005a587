"""What an operator sees of a running process: its log files and its terminal lines.

Read in this order::

    terminal.py  lines for the person who started it
    logs.py      one readable log a replica, and one for the process
    log_file.py  a file that several processes may append to, of bounded size
"""
