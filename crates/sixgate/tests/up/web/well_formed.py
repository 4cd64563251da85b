"""Reads a page from standard input with the parser of Python: every element is closed in its turn, every name that is referred
to exists once, every field has its label, and nothing is loaded from elsewhere."""

import html.parser
import sys


class Page(html.parser.HTMLParser):
    VOID = {"meta", "link", "input", "br"}

    def __init__(self):
        super().__init__()
        self.open, self.names, self.referred, self.fields, self.loaded = [], [], [], [], []

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        assert not any(name.startswith("on") or name == "style" for name in found), found
        if "id" in found:
            self.names.append(found["id"])
        self.referred += [found[key] for key in ("for", "aria-labelledby") if key in found]
        if tag == "input":
            self.fields.append(found["id"])
        self.loaded += [found[key] for key in ("src", "href", "action") if key in found]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open and self.open.pop() == tag, (tag, self.getpos())


page = Page()
page.feed(sys.stdin.read())
page.close()
assert not page.open, page.open
assert len(set(page.names)) == len(page.names) > 20, page.names
assert set(page.referred) <= set(page.names), page.referred
assert set(page.fields) <= set(page.referred), page.fields
assert all(path.startswith(("/", "#")) and not path.startswith("//") for path in page.loaded), page.loaded
print("well-formed")
