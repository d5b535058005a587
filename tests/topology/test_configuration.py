"""cartnet.ini: what is accepted, and what is refused in one line."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from cartnet.resources import resource
from cartnet.topology.configuration import (
    Configuration,
    ConfigurationError,
    Timing,
    Tls,
    load,
    parse,
)
from cartnet.topology.effective import to_ini

GROUPS = """
[balancer]
replicas = 127.0.0.1:8005
[shard:s1]
replicas = 127.0.0.1:5005 127.0.0.1:5006
[inventory]
replicas = 127.0.0.1:7105
"""


class AcceptedTests(SynchronousTestCase):
    """What a file may say."""

    def test_packaged_demo(self) -> None:
        """The demo has twelve replicas of four groups, all on loopback."""
        demo = load(resource("cartnet.ini"))

        self.assertEqual(
            [(group.name, len(group.members)) for group in demo.topology.groups],
            [("lb", 3), ("s1", 3), ("s2", 3), ("it", 3)],
        )
        self.assertEqual(demo.topology.member("s1r0").address, "127.0.0.1:5005")
        self.assertEqual(demo.topology.member("it2").address, "127.0.0.1:7107")
        self.assertEqual(demo.topology.cluster, "demo")
        self.assertEqual(demo.admin_listen, "tcp:8023:interface=127.0.0.1")
        self.assertTrue(demo.chaos)
        self.assertEqual(demo.secret, b"")
        self.assertIsNone(demo.operator_password)

    def test_defaults(self) -> None:
        """All but the groups may be left out."""
        configuration = parse(GROUPS, "x.ini")

        expected = Configuration(configuration.topology, source="x.ini")
        self.assertEqual(configuration, expected)
        self.assertEqual(configuration.timing, Timing(0.1, 0.6, 3.0, 10_000))
        self.assertEqual(configuration.topology.cluster, "demo")
        self.assertEqual(configuration.data, Path("db"))

    def test_every_key(self) -> None:
        """Every key is taken for what it says, those of later features too."""
        text = f"""{GROUPS}
[cluster]
name = shop.eu-1
data = /srv/data
logs = /srv/logs
prefer = none
secret = correct horse; battery # staple
tls_certificate = a.pem
tls_key = b.pem
tls_authority = c.pem
[timing]
heartbeat = 0.05
election_timeout = 1
request_timeout = 10.5
log_kept = 5
[console]
listen = tcp:8080
[admin]
listen = tcp:8023
password = open sesame
chaos = yes
[operator]
password = eight888
"""
        configuration = parse(text, "x.ini")

        self.assertEqual(
            configuration,
            Configuration(
                topology=configuration.topology,
                data=Path("/srv/data"),
                logs=Path("/srv/logs"),
                prefer="none",
                secret=b"correct horse; battery # staple",
                timing=Timing(0.05, 1.0, 10.5, 5),
                admin_listen="tcp:8023",
                admin_password="open sesame",
                chaos=True,
                console_listen="tcp:8080",
                operator_password="eight888",
                tls=Tls(Path("a.pem"), Path("b.pem"), Path("c.pem")),
                source="x.ini",
            ),
        )
        self.assertEqual(configuration.topology.cluster, "shop.eu-1")

    def test_shards_by_number(self) -> None:
        """Shards are ordered by their numbers, however the file orders them."""
        text = GROUPS + "[shard:s10]\nreplicas = h:1\n[shard:s2]\nreplicas = h:2\n"
        text += "[cluster]\nsecret = x\n"

        shards = parse(text, "x.ini").topology.shards

        self.assertEqual([each.name for each in shards], ["s1", "s2", "s10"])

    def test_replicas_on_several_lines(self) -> None:
        """A long list of replicas may go on in indented lines."""
        text = GROUPS.replace(" 127.0.0.1:5006", "\n  127.0.0.1:5006")

        self.assertEqual(
            parse(text, "x.ini").topology.group("s1").names, ("s1r0", "s1r1")
        )

    @given(
        st.integers(1, 50).flatmap(
            lambda beat: st.tuples(
                st.just(beat), st.integers(2 * beat + 1, 200), st.integers(200, 9_999)
            )
        ),
        st.integers(1, 10**6),
        st.sampled_from(["lexical", "none"]),
    )
    def test_effective_text_says_the_same(
        self, hundredths: tuple[int, int, int], log_kept: int, prefer: str
    ) -> None:
        """What is shown as the configuration in force reads as that configuration."""
        beat, election, request = (each / 100 + 0.03 for each in hundredths)
        text = f"""{GROUPS}[cluster]\nprefer = {prefer}\n[timing]
heartbeat = {beat:.2f}\nelection_timeout = {election + 0.1:.2f}
request_timeout = {request + 1:.2f}\nlog_kept = {log_kept}\n"""
        configuration = parse(text, "x.ini")

        self.assertEqual(parse(to_ini(configuration), "x.ini"), configuration)

    def test_secrets_are_not_shown(self) -> None:
        """Neither the text in force nor a repr gives a secret or a password away."""
        text = GROUPS + (
            "[cluster]\nsecret = marker-1\n[admin]\npassword = marker-2\n"
            "[operator]\npassword = marker-3\n"
        )
        configuration = parse(text, "x.ini")

        shown = to_ini(configuration) + repr(configuration)

        self.assertNotIn("marker", shown)
        self.assertEqual(shown.count("(set)"), 3)


class RefusedTests(SynchronousTestCase):
    """What is refused, and what the line then says."""

    def refused(self, text: str, *words: str) -> str:
        """Check that ``text`` is refused in one line that has all the ``words``."""
        with self.assertRaises(ConfigurationError) as caught:
            parse(text, "x.ini")
        line = str(caught.exception)
        self.assertTrue(line.isprintable(), line)
        for word in ("x.ini", *words):
            self.assertIn(word, line)
        return line

    def test_unknown_section(self) -> None:
        """An unknown section is named, with those there are."""
        self.refused(GROUPS + "[timings]\n", "[timings]", "[timing]")
        self.refused(GROUPS + "[DEFAULT]\nname = x\n", "[DEFAULT]")
        self.refused(GROUPS + "[shard:one]\nreplicas = h:1\n", "[shard:one]")
        self.refused(GROUPS + "[shard:s01]\nreplicas = h:1\n", "[shard:s01]")
        self.refused(GROUPS + "[\x1b[2J]\n", "\\x1b")

    def test_unknown_key(self) -> None:
        """An unknown key is named, with its value and what may have been meant."""
        self.refused(
            GROUPS + "[timing]\nheart_beat = 1\n",
            *("[timing]", "heart_beat", "'1'", "did you mean heartbeat?"),
        )
        line = self.refused(GROUPS + "[admin]\npasswrd = marker\n", "passwrd")
        self.assertNotIn("marker", line)

    def test_bad_values(self) -> None:
        """A bad value is named with its section, its key and what was expected."""
        for section, key, value, expected in (
            ("cluster", "name", "a b", "1 to 64"),
            ("cluster", "name", "../x", "1 to 64"),
            ("cluster", "data", "", "not empty"),
            ("cluster", "prefer", "first", "lexical or none"),
            ("timing", "heartbeat", "fast", "seconds"),
            ("timing", "heartbeat", "nan", "seconds"),
            ("timing", "heartbeat", "1e-1", "seconds"),
            ("timing", "heartbeat", "-0.1", "seconds"),
            ("timing", "heartbeat", "0.001", "from 0.025"),
            ("timing", "request_timeout", "1000000", "to 3600"),
            ("timing", "log_kept", "1.5", "whole number"),
            ("timing", "log_kept", "0", "from 1"),
            ("console", "listen", "8080", "endpoint"),
            ("admin", "listen", "127.0.0.1:8023", "endpoint"),
            ("admin", "chaos", "maybe", "yes or no"),
            ("cluster", "tls_key", "", "not empty"),
        ):
            text = f"{GROUPS}[{section}]\n{key} = {value}\n"
            self.refused(text, f"[{section}] {key}", repr(value), "expected", expected)

    def test_bad_passwords_are_not_shown(self) -> None:
        """A secret that is refused does not appear in the line."""
        for section, key, value in (
            ("operator", "password", "marker"),
            ("operator", "password", "marker" * 30),
            ("cluster", "secret", ""),
            ("cluster", "secret", "(set)"),
            ("admin", "password", "(set)"),
            ("console", "metrics_token", "two markers"),
            ("console", "metrics_token", "marker-é"),
            ("console", "metrics_token", ""),
            ("console", "metrics_token", "(set)"),
        ):
            line = self.refused(
                f"{GROUPS}[{section}]\n{key} = {value}\n", f"[{section}] {key}"
            )
            self.assertNotIn("marker", line)

    def test_bad_addresses(self) -> None:
        """Each group needs one good address or more."""
        for old, new in (
            ("127.0.0.1:8005", ""),
            ("127.0.0.1:8005", "127.0.0.1"),
            ("127.0.0.1:8005", "127.0.0.1:0"),
            ("127.0.0.1:8005", "127.0.0.1:8005,127.0.0.1:8006"),
        ):
            self.refused(GROUPS.replace(old, new), "[balancer] replicas", "host:port")
        self.refused("", "[shard:s1] replicas")
        self.refused("[shard:s1]\nreplicas = h:1\n", "[balancer] replicas")

    def test_one_address_twice(self) -> None:
        """No two replicas, nor a replica and a port of ours, share an address."""
        for old, new in (
            ("127.0.0.1:5006", "127.0.0.1:5005"),
            ("127.0.0.1:7105", "127.0.0.1:5005"),
            ("127.0.0.1:7105", "localhost:5005"),
        ):
            line = self.refused(GROUPS.replace(old, new), "same place", "s1r0", new)
            self.assertIn("replicas = '127.0.0.1:5005'", line)
        self.refused(
            GROUPS + "[admin]\nlisten = tcp:5005:interface=127.0.0.1\n",
            *("[admin] listen", "[shard:s1] replicas"),
        )

    def test_timing_relations(self) -> None:
        """Times that contradict one another are refused together."""
        for text, words in (
            ("heartbeat = 0.3\n", ("election_timeout", "0.3", "0.6")),
            ("heartbeat = 0.1\nelection_timeout = 0.2\n", ("twice the heartbeat",)),
            ("request_timeout = 0.5\n", ("request_timeout", "0.5", "0.6")),
        ):
            self.refused(f"{GROUPS}[timing]\n{text}", "[timing]", *words)

    def test_off_loopback_needs_a_secret(self) -> None:
        """Replicas that other machines reach are not started without a secret."""
        text = GROUPS.replace("127.0.0.1:5006", "10.0.0.1:5006")

        self.refused(text, "[cluster] secret", "s1r1", "10.0.0.1:5006")

        parse(text + "[cluster]\nsecret = x\n", "x.ini")

    def test_exposed_admin_port_needs_a_password(self) -> None:
        """An admin port that other machines reach is not opened without a password."""
        for listen in ("tcp:8023", "tcp:8023:interface=10.0.0.1"):
            text = f"{GROUPS}[admin]\nlisten = {listen}\n"

            self.refused(text, "[admin] password", listen)

            parse(text + "password = x\n", "x.ini")

    def test_half_of_tls(self) -> None:
        """The three files of TLS go together."""
        self.refused(GROUPS + "[cluster]\ntls_key = k.pem\n", "tls_certificate")

    def test_not_an_ini_file(self) -> None:
        """What is no ini file is refused by the line where that shows."""
        self.refused("hello\n", "line 1")
        self.refused("[cluster]\nname\n", "line 2")
        self.refused("[cluster]\nname = a\nname = b\n", "name", "line 3", "twice")
        self.refused("[admin]\n[admin]\n", "[admin]", "line 2", "twice")

    @given(st.text(alphabet="[]=:#s1 \n\tabc\x00\x1b%", max_size=60))
    def test_any_text(self, text: str) -> None:
        """Whatever the text, the answer is a configuration or one printable line."""
        try:
            parse(text, "x.ini")
        except ConfigurationError as error:
            self.assertTrue(str(error).isprintable(), str(error))


class LoadTests(SynchronousTestCase):
    """Where a configuration comes from."""

    def load_refused(self, path: Path) -> str:
        with self.assertRaises(ConfigurationError) as caught:
            load(path)
        self.assertIn(str(path), str(caught.exception))
        return str(caught.exception)

    def test_unreadable(self) -> None:
        """A file that cannot be read is refused with the reason."""
        path = Path(self.mktemp())

        self.assertIn("No such file", self.load_refused(path))
        path.mkdir()
        self.assertIn("directory", self.load_refused(path))

    def test_not_text(self) -> None:
        """A file that is not UTF-8 is refused, and so is one without an end."""
        path = Path(self.mktemp())

        path.write_bytes(b"[cluster]\nname = \xff\n")
        self.assertIn("UTF-8", self.load_refused(path))
        path.write_bytes(b"#" * (1024 * 1024 + 1))
        self.assertIn("at most", self.load_refused(path))

    def test_source(self) -> None:
        """The file's name is known, a byte order mark is skipped."""
        path = Path(self.mktemp())
        path.write_bytes(b"\xef\xbb\xbf" + GROUPS.encode())

        self.assertEqual(load(path).source, str(path))
