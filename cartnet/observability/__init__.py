"""What an operator sees of a running process: its log files, terminal lines and pace.

Read in this order::

    terminal.py   lines for the person who started it
    logs.py       one readable log a replica, and one for the process
    log_file.py   a file that several processes may append to, of bounded size
    latencies.py  how long things took lately
"""
