"""What ``cartnet check --help`` says; apart, since the check itself loads slowly."""

from __future__ import annotations

from typing import Final

CHECK_DESCRIPTION: Final = """\
Hold the replicas' files of a stopped cluster against what cartnet guarantees. The
files are copied to a temporary folder first (TMPDIR says where), and never changed.
Files that are missing are named, and what only they could show is not judged.

  files  every file can be read, says of itself what was written, and is its replica's
  S1     what is committed is in the logs of a majority
  S2     no log is ahead of its replica's term
  S3     checksums are right, no entry is missing, equal terms mean equal entries
  S4     tables have the digest that was kept, and equal indexes equal digests; files
         that end earlier are brought to the same index by their logs
  S6     no key has had two effects
  S7     initial stock + changes - stock = what was sold, item by item
  S8     orders and what was taken for them agree, both ways
  S9     a username is on one shard, the one that the directory names
"""
CHECK_EPILOG: Final = """\
exit status: 0 all is well, 1 something is wrong, 2 it could not be checked (a
configuration that cannot be read, no files, or a running process holds one: stop it
first; with --live, no cluster that answers)
"""
