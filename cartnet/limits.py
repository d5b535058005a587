"""Every bound: its name, its unit, and what happens at it.

Kept in one file so that their relations can be read, and are asserted, together.
"""

from __future__ import annotations

from typing import Final

# --- Lines (replica ports) -----------------------------------------------------------

LINE_BYTES_MAX: Final = 1024 * 1024
"""A longer line loses the framing: one error line, then the connection closes."""

JSON_DEPTH_MAX: Final = 32
"""Deeper JSON is ``bad_request``."""

INTEGER_MAX: Final = 2**53
"""Integers beyond plus or minus this are ``bad_request``."""

REQUEST_ID_CHARACTERS_MAX: Final = 64
CALL_CHARACTERS_MAX: Final = 64
SESSION_CHARACTERS_MAX: Final = 256
ORDER_ID_CHARACTERS_MAX: Final = 128
"""Longer ones in a request are ``bad_request``."""

SHOWN_CHARACTERS_MAX: Final = 60
"""Of what a stranger sent, an error message or a log line shows no more."""

HELLO_STRING_CHARACTERS_MAX: Final = 256
HELLO_MEMBERS_MAX: Final = 64
"""A hello with longer strings, or that speaks of more members, is refused."""

ANSWER_BACKSTOP_SECONDS: Final = 0.7
"""A request without an answer this long after the request timeout gets ``timeout``."""

IDLE_SECONDS_MAX: Final = 600.0
"""A client connection silent for longer is closed."""

UNFINISHED_LINE_SECONDS_MAX: Final = 10.0
"""A connection whose line is unfinished for longer is closed."""

BACKLOG_CONNECTIONS_MAX: Final = 512
"""Connections that the kernel keeps until they are taken; more are refused by it."""

CHALLENGE_BYTES: Final = 16

LISTENER_SWEEP_SECONDS: Final = 0.25
"""Between two looks at the ages of connections, lines and requests."""

HELLO_SECONDS_MAX: Final = 5.0
"""A handshake that is not complete by then is closed."""

CONNECTIONS_PER_ADDRESS_MAX: Final = 256
"""More from one peer address are closed at once; loopback is spared."""

CONNECTIONS_MAX: Final = 4_000
"""With more on one listener its oldest stranger is cut off, or else the new one."""

REQUESTS_PER_CONNECTION_MAX: Final = 1_024
"""More in flight on one connection are ``overloaded``."""

REQUESTS_PER_REPLICA_MAX: Final = 8_192
"""More in flight in one replica are ``overloaded``."""

CLOSE_SECONDS_MAX: Final = 1.0
"""A connection that is to close and does not take what is left is cut off."""

REFUSALS_REMEMBERED_MAX: Final = 1_000
"""Of so many who were turned away the last reason is known, so that it is logged once;
the oldest are forgotten first."""

SEND_BUFFER_TRUSTED_BYTES_MAX: Final = 64 * 1024 * 1024
"""Another process's connection carries many users' answers: more may pile up unread."""

ANSWERS_BYTES_MAX: Final = 4 * 1024 * 1024
"""What the answers to a client's requests in hand may come to, by what is known of
such answers; its next requests wait, so that nobody who reads is cut off for asking."""

SEND_BUFFER_BYTES_MAX: Final = 8 * 1024 * 1024
"""A client that lets more pile up unread is closed; a peer's messages are dropped."""

# --- The shop ------------------------------------------------------------------------

USERNAME_CHARACTERS_MAX: Final = 64
PASSWORD_CHARACTERS_MIN: Final = 8
PASSWORD_CHARACTERS_MAX: Final = 128
ITEM_ID_CHARACTERS_MAX: Final = 32
ITEM_NAME_CHARACTERS_MAX: Final = 100
ITEM_NAME_BYTES_MAX: Final = 150
KEY_CHARACTERS_MAX: Final = 64
QUANTITY_MAX: Final = 1_000_000
STOCK_MAX: Final = 1_000_000_000
PRICE_MAX: Final = 10_000_000
CATALOGUE_ITEMS_MAX: Final = 4_000
CART_LINES_MAX: Final = 100
ORDERS_PER_PAGE_MAX: Final = 1_000
ORDERS_PER_PAGE_DEFAULT: Final = 100

KEYS_PER_USER_MAX: Final = 1_000
"""Older keys are forgotten first."""

KEY_SECONDS_MAX: Final = 24 * 3600
"""A key older than this (log time) is forgotten."""

SESSION_SECONDS_MAX: Final = 30 * 24 * 3600
"""A session ends this long after its login (log time)."""

SESSIONS_PER_USER_MAX: Final = 100
"""One more login ends the oldest session."""

KEYS_FORGOTTEN_AT_ONCE_MAX: Final = 4_096
SESSIONS_ENDED_AT_ONCE_MAX: Final = 256
"""Rows too old that one log entry drops, at most once a second of log time; the rest
wait for the next, and count as gone."""

ORDERS_PAGE_BYTES_MAX: Final = 960 * 1024
"""As many orders as fit are on a page; the rest are on the next."""

# --- Passwords -----------------------------------------------------------------------

HASHES_AT_ONCE_MAX: Final = 2
HASHES_WAITING_MAX: Final = 256
"""More wait no longer: ``overloaded``."""

LOGIN_FAILURES_FREE: Final = 5
"""From the next failure on, that account's attempts are delayed: ``rate_limited``."""

LOGIN_DELAY_SECONDS_MAX: Final = 60.0

LOGIN_FAILURES_SECONDS_MAX: Final = 900.0
"""An account's failures are forgotten this long after the last."""

LOGIN_FAILURES_ACCOUNTS_MAX: Final = 10_000
"""Accounts whose failures are remembered; the oldest are forgotten first."""

REGISTRATIONS_PER_MINUTE_MAX: Final = 30
"""More from one address are ``rate_limited``; loopback is spared."""

REGISTRATION_ADDRESSES_MAX: Final = 10_000
"""Addresses whose registrations are counted; the oldest are forgotten first."""

# --- Replication ---------------------------------------------------------------------

TICK_SECONDS: Final = 0.025
"""The unit in which a replica counts heartbeats and elections."""

TICKS_CAUGHT_UP_MAX: Final = 2
"""Ticks missed while the event loop was held are dropped beyond this."""

APPEND_ENTRIES_MAX: Final = 1_024
APPEND_BYTES_MAX: Final = 512 * 1024
"""Entries and bytes in one AppendEntries; the rest goes into the next."""

WINDOW_ENTRIES_MAX: Final = 8_192
WINDOW_BYTES_MAX: Final = 4 * 1024 * 1024
WINDOW_MESSAGES_MAX: Final = 64
"""Unacknowledged appends to one follower; at the bound the leader waits for an ack."""

PROPOSALS_WAITING_MAX: Final = 8_192
"""Uncommitted proposals of one leader; one more is ``overloaded``."""

READS_WAITING_MAX: Final = 8_192
"""Reads in hand of one leader; one more is ``overloaded``."""

PROPOSAL_BYTES_MAX: Final = 256 * 1024
"""A larger command is ``too_large``."""

INBOX_MESSAGES_MAX: Final = 4_096
"""Peer messages waiting in one replica; more are dropped, Raft repeats itself."""

CACHE_ENTRIES_MAX: Final = 16_384
CACHE_BYTES_MAX: Final = 8 * 1024 * 1024
"""Newest log entries kept in memory; older ones are read from disk when needed."""

SNAPSHOT_PART_BYTES_MAX: Final = 256 * 1024
"""Rows of a snapshot in one message; a part may exceed it by one row."""

SNAPSHOT_MEMORY_BYTES_MAX: Final = 8 * 1024 * 1024
"""A snapshot that is being sent is kept in a temporary file beyond this."""

COMPACT_ENTRIES_MAX: Final = 2_000
"""Log entries deleted in one transaction; the rest go with the next ones."""

APPLY_ENTRIES_MAX: Final = 2_048
APPLY_BYTES_MAX: Final = 4 * 1024 * 1024
"""Committed entries applied in one transaction; the rest go into the next."""

DIGEST_ENTRIES: Final = 1_024
"""After every so many entries the digest of the tables is recorded for comparison."""

DIGESTS_COMPARED_MAX: Final = 64
"""Indexes of which a replica remembers digests, to compare them with others'."""

MARKER_SECONDS: Final = 10.0
"""A leader with traffic adds an entry without a command so often, to be compared at."""

RECOUNT_SECONDS: Final = 60.0
"""Between two recounts of the tables against their digest."""

DIGESTS_KEPT_MAX: Final = 256
"""Digests recorded; the oldest are forgotten first."""

RECOUNT_ROWS_AT_ONCE: Final = 512
"""Rows hashed between two looks whether a recount is still wanted."""

LAG_NOTED_ENTRIES: Final = 100
"""A follower that is this far behind is worth a line in the leader's log."""

STOPPED_NOTED_SECONDS: Final = 3.0
"""A group that has lost too many files says so after so long, if that is still so."""

HELLO_AGAIN_SECONDS: Final = 2.0
"""Between two hellos of a replica that does not know its group's founders yet."""

RECONNECT_SECONDS_MIN: Final = 0.02
RECONNECT_SECONDS_MAX: Final = 0.5
CONNECT_SECONDS_MAX: Final = 1.0

UNACKNOWLEDGED_SECONDS_MAX: Final = 2.0
"""Bytes that the other host has not acknowledged for so long, or had no room for, end
the connection that was made to send them (TCP_USER_TIMEOUT, RFC 5482; Linux alone). TCP
itself waits twice as long after each loss, so that a partition of a minute would last
for two."""

HAND_OVER_SECONDS_MAX: Final = 0.5
"""A leader that stops waits no longer for another to take its office over."""

DRAIN_SECONDS_MAX: Final = 3.5
"""How long a clean stop waits for the answers to requests in hand."""

CONSOLE_ALONE_SECONDS_MAX: Final = 0.7
"""For so long a stopping console has all replicas at its service; then they stop, too.
"""

STOP_SECONDS_MAX: Final = 4.0
"""Then, replicas that have not stopped are cut off."""

# --- Supervision and the admin line --------------------------------------------------

SUPERVISE_REPLY_SECONDS: Final = 0.1
"""A replica killed through its own port lives on for this long: the reply leaves."""

STATUS_SECONDS_MAX: Final = 0.5
"""A replica of another process that has not said by then how it is: unreachable."""

SUPERVISE_SECONDS_MAX: Final = 10.0
"""What another process was asked to do is given up on after this long."""

FAULT_SECONDS_MAX: Final = 600.0
"""A replica that was paused or isolated on purpose is let go after this long."""

TRANSFER_SECONDS_MAX: Final = 3.0
"""An office that was not taken over by then is said to have stayed."""

TRANSFER_POLL_SECONDS: Final = 0.05

CHILD_START_SECONDS_MAX: Final = 30.0
"""A child process that has not started its replica by then is killed."""

CHILD_LINE_CHARACTERS_MAX: Final = 500
"""What a child says is logged and shown up to this length, line by line."""

ADMIN_LINE_BYTES_MAX: Final = 4_096
"""A longer admin line gets one error line, then the connection closes."""

ADMIN_LINES_WAITING_MAX: Final = 64
"""With this many commands unanswered nothing more is read from a connection."""

ADMIN_CONNECTIONS_MAX: Final = 64
"""More admin connections are closed at once."""

ADMIN_UNFINISHED_SECONDS_MAX: Final = 120.0
"""An admin line, which a person may be typing, may be unfinished for this long."""

ADMIN_COMMAND_SECONDS_MAX: Final = 40.0
"""A command without an outcome by then is given up on; it may have been done."""

ADMIN_FAILURES_FREE: Final = 5
ADMIN_FAILURE_SECONDS: Final = 10.0
"""After so many wrong passwords from one host its next ones wait this long."""

ADMIN_FAILURE_HOSTS_MAX: Final = 1_000
"""Hosts whose wrong passwords are remembered; the oldest are forgotten first."""

# --- The console's calls and WebSockets ----------------------------------------------

OPERATOR_CONFIRM_SECONDS_MAX: Final = 1.0
"""A known operator's session that the inventory has not confirmed by then passes."""

OPERATOR_TRUSTED_SECONDS: Final = 3600.0
"""So long after it was confirmed a session passes without the inventory's word."""

OPERATOR_WATCH_SECONDS: Final = 5.0
"""A watch of the cluster has its session confirmed again after so long, and ends where
it has ended."""

OPERATOR_SESSIONS_MAX: Final = 1_000
"""Sessions remembered as the operator's; the longest unconfirmed are forgotten."""

WEBSOCKET_FRAME_BYTES_MAX: Final = 64 * 1024
"""A larger message closes its WebSocket (1009); larger answers leave in pieces."""

REQUESTS_PER_WEBSOCKET_MAX: Final = 32
"""More in flight on one WebSocket are ``overloaded``."""

REQUESTS_OF_WEBSOCKETS_MAX: Final = 4_096
"""More in flight on all WebSockets of a console are ``overloaded``."""

WATCHES_PER_WEBSOCKET_MAX: Final = 32
"""More live on one WebSocket are ``overloaded``."""

WEBSOCKETS_MAX: Final = 1_000
"""More are refused with 503."""

WEBSOCKETS_PER_ADDRESS_MAX: Final = 256
"""More from one peer address are refused with 429; loopback is spared."""

WEBSOCKETS_PER_SESSION_MAX: Final = 5
"""More with one session's cookie are refused with 429."""

WEBSOCKETS_UNREAD_BYTES_MAX: Final = 64 * 1024 * 1024
"""More may not pile up unread on all WebSockets of a console together: whoever is sent
more and does not read it is cut off."""

WEBSOCKET_PING_SECONDS: Final = 20.0
WEBSOCKET_PONG_SECONDS_MAX: Final = 20.0
"""How often a WebSocket is asked for a sign of life, and by when it is cut off."""

# --- Tools ---------------------------------------------------------------------------

IMPORT_WINDOW_ITEMS: Final = 32
"""Items of a catalogue sent before their answers; less than the keys remembered."""

IMPORT_ATTEMPTS_MAX: Final = 30
"""Times in a row that an import may get no further, a second apart."""

IMPORT_ERRORS_SHOWN_MAX: Final = 20
"""Wrong lines of a catalogue that are named before it is refused."""

CHECK_FINDINGS_SHOWN_MAX: Final = 20
"""Findings about one guarantee that a check names; of more it gives the number."""

LIVE_SECONDS_MAX: Final = 3_600
LIVE_USERS_MAX: Final = 10
"""Of a live check: its accounts stay, and its whole history is searched."""

LIVE_VIOLATIONS_MAX: Final = 1_000
"""Broken checks that a live check keeps; further ones are only counted."""

LIVE_BARS_MAX: Final = 6_000
"""Operations drawn in a live check's timeline; of more, the quick and good ones are
left out first."""

# --- HTTP ----------------------------------------------------------------------------

HTTP_REQUESTS_MAX: Final = 4_096
"""More that wait for their answers, their clients gone or not, are ``overloaded``."""

HTTP_BODY_BYTES_MAX: Final = 64 * 1024
"""A larger request body is ``too_large``."""

HTTP_LINE_BYTES_MAX: Final = 8 * 1024
HTTP_HEAD_BYTES_MAX: Final = 16 * 1024
HTTP_HEADERS_MAX: Final = 100
"""A longer request line (the URL) or header, more of them in bytes or in number: the
request is ``bad_request``, and its connection ends."""

HTTP_REQUEST_SECONDS_MAX: Final = 30.0
"""A request that takes longer to arrive is dropped, with its connection."""

HTTP_IDLE_SECONDS_MAX: Final = 60.0
"""A connection without a request for longer is closed."""

HTTP_LINGER_SECONDS_MAX: Final = 2.0
"""What is still sent after a request was refused unread is thrown away for so long, so
that its sender gets to read the answer."""

HTTP_STUCK_SECONDS_MAX: Final = 15
"""A connection that is to close and does not take what is left is cut off."""

HTTP_RETRY_AFTER_SECONDS: Final = 1
"""``Retry-After`` where the error itself names no time."""

OLD_SESSION_SECONDS_MAX: Final = 0.5
"""A login waits no longer for the session it replaces to end."""

# --- Checkouts -----------------------------------------------------------------------

SETTLEMENTS_AT_ONCE_MAX: Final = 256
"""Orders of a shard on their way through the inventory; more wait their turn."""

SETTLEMENT_RETRY_SECONDS_MIN: Final = 0.05
SETTLEMENT_RETRY_SECONDS_MAX: Final = 1.0
"""Pauses before a step that failed is tried again; they double between these."""

SURVEY_SECONDS: Final = 1.0
"""How often a shard's leader looks for pending orders that nobody waits for."""

DUTY_RETRY_SECONDS_MIN: Final = 0.1
DUTY_RETRY_SECONDS_MAX: Final = 2.0
"""Pauses before a new group's leader tries again to give it what it lacks."""

# --- The process --------------------------------------------------------------------

SWITCH_INTERVAL_SECONDS: Final = 0.0005
"""How long a thread keeps the interpreter where many replicas share one."""

LEADER_POLL_SECONDS: Final = 0.02
"""Between two looks whether every group has a leader, at start."""

ADMIN_HOLDER_SECONDS_MAX: Final = 1.0
"""How long whoever holds the admin port may take to say who it is."""

# --- Feeds ---------------------------------------------------------------------------

WATCHES_PER_CONNECTION_MAX: Final = 32
WATCHES_PER_TRUSTED_CONNECTION_MAX: Final = 4_096
"""More live on one connection are ``overloaded``; a connection of the cluster's own
processes carries many users' watches."""

FEED_SECONDS_MIN: Final = 0.02
"""A source's pause between two looks; changes that come meanwhile are merged."""

FEED_SHARE_OF_TIME: Final = 0.2
"""A source of many users' feeds looks for no more of the time; the longer it takes,
the longer it rests."""

FEED_RETRY_SECONDS: Final = 1.0
"""A source that may not read its tables tries again after so long."""

FEED_REVISIONS_AT_ONCE_MAX: Final = 64
"""Watchers' different revisions that are looked up at once; the rest come next."""

WATCH_KEEPALIVE_SECONDS: Final = 4.0
"""A watcher hears an empty event after this long without a change."""

# --- What is measured, and shown -----------------------------------------------------

LATENCY_WINDOW_SECONDS: Final = 10
"""Rates and latencies are those of so many last seconds; older ones are forgotten."""

LOOP_DELAY_SECONDS: Final = 0.1
"""Between two looks how late the event loop is."""

OBSERVE_SECONDS: Final = 0.25
OBSERVE_UNWATCHED_SECONDS: Final = 1.0
"""Between two looks at all replicas, while an operator watches and while none does."""

OBSERVE_PATIENCE_SECONDS: Final = 0.1
"""Who has not said by then how it is is shown as it was: one hangs up no others."""

COMMIT_WINDOW_SECONDS: Final = 2.0
"""How fast a group commits is told from the growth of its log in this time."""

DIGESTS_SEEN_MAX: Final = 16
"""Of each replica so many newest digests are held against the others'."""

CONSERVATION_SECONDS: Final = 2.0
"""Between two questions whether stock is conserved."""

DONE_SECONDS_MAX: Final = 15.0
"""What is seen to happen to a replica is what an operator has done to it, if that was
no longer ago (or no longer after)."""

TIMELINE_EVENTS_MAX: Final = 500
"""Events of the cluster that a console remembers; the oldest are forgotten first."""

TIMELINE_SHOWN_FIRST: Final = 200
"""Of those a watcher gets so many at first."""

# --- Configuration and logs ----------------------------------------------------------

CONFIGURATION_BYTES_MAX: Final = 1024 * 1024
"""A larger configuration file is refused."""

TIMING_SECONDS_MAX: Final = 3600.0
"""A longer ``[timing]`` value is refused."""

LOG_KEPT_MAX: Final = 100_000_000
"""A larger ``[timing] log_kept`` is refused."""

LOG_MESSAGE_CHARACTERS_MAX: Final = 8_192
"""A longer message is cut in the log file, and says so."""

LOG_TRACEBACK_CHARACTERS_MAX: Final = 32_768
"""Of a longer traceback the log file has the end."""

LOG_LINES_MAX: Final = 1_000
LOG_LINES_DEFAULT: Final = 200
LOG_TAIL_BYTES_MAX: Final = 256 * 1024
"""Lines that are shown of a log file's end, and the bytes that are looked at for
them: of longer lines there are fewer."""

LOG_FILE_BYTES_MAX: Final = 16 * 1024 * 1024
LOG_FILES_KEPT: Final = 3
"""A log file that has grown to its size is renamed, and the oldest one is deleted."""

# --- Clients of a group -------------------------------------------------------------

CALLS_PER_GROUP_MAX: Final = 8_192
"""Calls one process has under way to one group; one more is ``overloaded``."""

CALLS_PER_LINK_MAX: Final = 1_000
"""Calls sent and unanswered on one connection to a member; the next ones wait."""

LEADER_SEARCH_SECONDS_MIN: Final = 0.02
LEADER_SEARCH_SECONDS_MAX: Final = 0.05
"""While a group has no leader its members are asked again after this long."""

RETRY_SECONDS_MIN: Final = 0.02
RETRY_SECONDS_MAX: Final = 0.5
"""A call that a leader refused for now is sent again after a pause that doubles."""

PROBE_SECONDS: Final = 0.25
"""A member silent for this long with calls in hand is asked for a heartbeat."""

PROBE_ANSWER_SECONDS_MAX: Final = 0.6
"""A member that owes a heartbeat for longer hangs: its connection is dropped."""

ATTEMPT_SECONDS_MAX: Final = 1.0
"""What a member that no longer leads leaves unanswered for longer is sent again."""

ANSWER_GRACE_SECONDS: Final = 0.5
"""Nothing is sent after a call's deadline, but an answer under way is awaited."""

SWEEP_SECONDS: Final = 0.05
"""How often calls under way are held against their deadlines."""

FEED_SILENCE_SECONDS_MAX: Final = 6.5
"""A feed's source that is silent for longer is replaced by another member."""

LOCATE_HERE_SECONDS_MAX: Final = 0.5
"""How long a balancer waits for its own file's word before it asks the leader."""

LOCATED_USERS_MAX: Final = 100_000
"""Usernames whose shard a balancer remembers; the longest unused go first."""

assert APPEND_BYTES_MAX + PROPOSAL_BYTES_MAX < LINE_BYTES_MAX
assert WINDOW_BYTES_MAX >= APPEND_BYTES_MAX
assert CACHE_ENTRIES_MAX >= WINDOW_ENTRIES_MAX
assert CACHE_BYTES_MAX >= WINDOW_BYTES_MAX
assert PROPOSALS_WAITING_MAX >= REQUESTS_PER_CONNECTION_MAX
assert WATCH_KEEPALIVE_SECONDS < 5
assert SEND_BUFFER_BYTES_MAX > ANSWERS_BYTES_MAX + LINE_BYTES_MAX
assert CALLS_PER_LINK_MAX < REQUESTS_PER_CONNECTION_MAX
assert ANSWER_GRACE_SECONDS + 2 * SWEEP_SECONDS < 1
assert FEED_SILENCE_SECONDS_MAX > 5
assert ANSWER_GRACE_SECONDS < ANSWER_BACKSTOP_SECONDS
assert ANSWER_BACKSTOP_SECONDS + LISTENER_SWEEP_SECONDS < 1
assert WEBSOCKETS_UNREAD_BYTES_MAX > SEND_BUFFER_BYTES_MAX
# All of a process's end takes less than 5 s.
assert CONSOLE_ALONE_SECONDS_MAX + STOP_SECONDS_MAX < 4.8
assert DRAIN_SECONDS_MAX + CLOSE_SECONDS_MAX < 4.8
