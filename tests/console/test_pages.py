"""Pages and assets: kept by browsers as long as is right, small where they can be."""

from __future__ import annotations

import gzip
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from cartnet.console.pages import Pages
from cartnet.resources import resource
from tests.console.shopping import Shopping, asset_folder


class PagesTests(SynchronousTestCase):
    """What a folder becomes."""

    def test_version(self) -> None:
        """Any change of any asset, and of its name, changes where all of them are."""
        folder = asset_folder(Path(self.mktemp()))
        versions = [Pages(folder).version]
        (folder / "js" / "a.js").write_text("other")
        versions.append(Pages(folder).version)
        (folder / "js" / "a.js").rename(folder / "js" / "b.js")
        versions.append(Pages(folder).version)
        (folder / "js" / ".b.js.swp").write_text("an editor's")

        self.assertEqual(len(set(versions)), 3)
        self.assertEqual(Pages(folder).version, versions[-1])

    def test_own_pages(self) -> None:
        """Every asset that the console's own pages name is there."""
        pages = Pages(resource("web_console"))
        for name in ("index.html", "operator.html", "404.html"):
            page = pages.page(name)
            assert page is not None, name
            self.assertNotIn(b'"/static/js', page.body)
            for part in page.body.decode().split(f'"/static/{pages.version}/')[1:]:
                asset = pages.asset(pages.version, part.partition('"')[0])
                self.assertIsNotNone(asset, part[:40])


class ServedTests(SynchronousTestCase):
    """How they are served."""

    def setUp(self) -> None:
        folder = asset_folder(Path(self.mktemp()))
        self.shopping = Shopping(folder)
        self.addCleanup(self.shopping.stop)
        self.ask = self.shopping.ask
        self.version = Pages(folder).version

    def test_nothing_there(self) -> None:
        """A browser that goes where nothing is gets a page, a program JSON."""
        html = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
        for path in ("/nope", "/operator/nope", "/404.html", "/%00"):
            page = self.ask("GET", path, **html)
            self.assertEqual((page.status, page.body[:9]), (404, b"<!doctype"), path)
            self.assertEqual(page.headers["content-type"], "text/html; charset=utf-8")
            self.assertEqual(page.headers["cache-control"], "no-store")
            known = self.ask("GET", path, If_None_Match=page.headers["etag"], **html)
            self.assertEqual(known.status, 404)
            program = self.ask("GET", path, Accept="*/*")
            self.assertEqual(program.refusal, (404, "not_found"))

        api = self.ask("GET", "/api/v1/nope", **html)
        self.assertEqual(api.refusal, (404, "not_found"))
        self.assertEqual(self.ask("PUT", "/", **html).refusal, (405, "bad_request"))

    def test_slash(self) -> None:
        """The operator's page is found with a slash behind it, too."""
        moved = self.ask("GET", "/operator/")

        self.assertEqual((moved.status, moved.headers["location"]), (308, "/operator"))
        self.assertEqual(self.ask("GET", "/operator").status, 200)

    def test_pages(self) -> None:
        """Pages are asked for every time, and sent only where they have changed."""
        page = self.ask("GET", "/")
        again = self.ask("GET", "/", If_None_Match=page.headers["etag"])
        weak = self.ask("GET", "/", If_None_Match='"x", W/' + page.headers["etag"])

        self.assertEqual(page.headers["content-type"], "text/html; charset=utf-8")
        self.assertEqual(page.headers["cache-control"], "no-cache")
        self.assertIn(f"/static/{self.version}/js/a.js".encode(), page.body)
        for each in (again, weak):
            self.assertEqual((each.status, each.body), (304, b""))
            self.assertEqual(each.headers["etag"], page.headers["etag"])
        self.assertEqual(self.ask("GET", "/operator").status, 200)

    def test_assets(self) -> None:
        """Assets may be kept for ever; another version's are not there."""
        asset = self.ask("GET", f"/static/{self.version}/js/a.js")

        self.assertEqual(asset.status, 200)
        self.assertEqual(
            asset.headers["cache-control"], "public, max-age=31536000, immutable"
        )
        self.assertEqual(
            asset.headers["content-type"], "text/javascript; charset=utf-8"
        )
        for path in (
            "/static/0123456789abcdef/js/a.js",
            "/static/js/a.js",
            f"/static/{self.version}/js",
            f"/static/{self.version}/index.html",
            f"/static/{self.version}/../index.html",
            f"/static/{self.version}/js%2F..%2Findex.html",
        ):
            answer = self.ask("GET", path)
            self.assertEqual(answer.refusal, (404, "not_found"), path)
            self.assertEqual(answer.headers["cache-control"], "no-store")

    def test_gzip(self) -> None:
        """Who takes gzip gets it, under a tag of its own, where it is smaller."""
        path = f"/static/{self.version}/js/a.js"
        plain = self.ask("GET", path)
        for accept in ("gzip", "br, gzip;q=0.5", "*"):
            zipped = self.ask("GET", path, Accept_Encoding=accept)
            self.assertEqual(zipped.headers["content-encoding"], "gzip")
            self.assertEqual(gzip.decompress(zipped.body), plain.body)
            self.assertNotEqual(zipped.headers["etag"], plain.headers["etag"])
            self.assertEqual(zipped.headers["vary"], "Accept-Encoding")
        for accept in ("", "br", "gzip;q=0", "identity"):
            answer = self.ask("GET", path, Accept_Encoding=accept)
            self.assertNotIn("content-encoding", answer.headers, accept)

    def test_icon(self) -> None:
        """The icon that browsers ask for is there."""
        answer = self.ask("GET", "/favicon.ico")

        self.assertEqual(answer.status, 200)
        self.assertEqual(answer.headers["content-type"], "image/svg+xml; charset=utf-8")
