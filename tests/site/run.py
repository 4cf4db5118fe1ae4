#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""run.py HOSPES CATALOGUE [PICTURES] - the pages of a catalogue as a browser shows them.

Every page of the site is opened in a headless Chromium, on a desk and on a phone, light and dark, without scripts and
with them, and held to rules: nothing wider than the window but what scrolls by itself, text that stands out from what
is behind it, real tables with headers, one heading first, names for links and fields, targets that a finger hits, every
link leading somewhere. PICTURES: a folder for screenshots. Skipped (77) where there is no chromium.
"""
import glob
import json
import os
import shutil
import subprocess
import sys
import tempfile
import urllib.parse

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from browser import Browser  # noqa: E402

WINDOWS = {"desk": (1280, 900), "phone": (390, 844)}

# Everything is asked of the page as it is shown. Luminance and ratio: WCAG 2.2, 1.4.3; targets: 2.5.8.
RULES = r"""(function () {
  var bad = [], win = document.documentElement.clientWidth;
  function rgb(text) {
    var n = text.match(/[\d.]+/g).map(Number);
    return {c: n.slice(0, 3), a: n.length > 3 ? n[3] : 1};
  }
  function light(c) {
    var l = c.map(function (v) { v /= 255; return v <= 0.04045 ? v / 12.92 : Math.pow((v + 0.055) / 1.055, 2.4); });
    return 0.2126 * l[0] + 0.7152 * l[1] + 0.0722 * l[2];
  }
  function behind(e) {
    for (; e; e = e.parentElement) {
      var c = rgb(getComputedStyle(e).backgroundColor);
      if (c.a === 1) return c.c;
    }
    return matchMedia('(prefers-color-scheme: dark)').matches ? [0, 0, 0] : [255, 255, 255];
  }
  function label(e) { return e.tagName.toLowerCase() + ' "' + e.textContent.trim().slice(0, 40) + '"'; }
  function shown(e) { var r = e.getBoundingClientRect(); return r.width > 0 && r.height > 0 && r.right > 0; }

  if (document.documentElement.scrollWidth > win)
    bad.push('the page is ' + document.documentElement.scrollWidth + ' wide in a window of ' + win);
  document.querySelectorAll('*').forEach(function (e) {
    var text = Array.prototype.some.call(e.childNodes, function (n) {
      return n.nodeType === 3 && n.data.trim();
    });
    if (!text || !shown(e) || e.closest('head,option,script')) return;
    var s = getComputedStyle(e), a = light(rgb(s.color).c), b = light(behind(e));
    var ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) bad.push('contrast ' + ratio.toFixed(2) + ': ' + label(e));
    if (parseFloat(s.fontSize) < 12) bad.push('letters of ' + s.fontSize + ': ' + label(e));
  });
  ['pre', '.wide'].forEach(function (q) {
    document.querySelectorAll(q).forEach(function (e) {
      if (e.scrollWidth > e.clientWidth && e.tabIndex < 0) bad.push('no key scrolls ' + label(e));
    });
  });
  if (document.querySelectorAll('h1').length !== 1) bad.push('not one h1');
  var last = 0;
  document.querySelectorAll('h1,h2,h3,h4').forEach(function (h) {
    var n = Number(h.tagName[1]);
    if (n > last + 1) bad.push('a heading leaves one out: ' + label(h));
    last = n;
  });
  if (!document.documentElement.lang || !document.title || !document.querySelector('main')) bad.push('no lang, title or main');
  document.querySelectorAll('table').forEach(function (t) {
    if (!t.caption || !t.caption.textContent.trim()) bad.push('a table without a caption');
    var columns = t.tHead.rows[0].cells.length;
    Array.prototype.forEach.call(t.tHead.rows[0].cells, function (c) {
      if (c.tagName !== 'TH' || c.scope !== 'col') bad.push('no column header: ' + label(c));
    });
    Array.prototype.forEach.call(t.tBodies[0].rows, function (r) {
      if (r.cells.length !== columns) bad.push('a row of ' + r.cells.length + ' cells under ' + columns);
      if (r.cells[0].tagName !== 'TH' || r.cells[0].scope !== 'row') bad.push('no row header: ' + label(r));
    });
  });
  document.querySelectorAll('input,select').forEach(function (e) {
    if (!e.labels || !e.labels.length) bad.push('a field without a label');
    var r = e.getBoundingClientRect();
    if (r.width && (r.height < 24 || r.width < 24)) bad.push('a field of ' + r.width + 'x' + r.height);
  });
  document.querySelectorAll('a').forEach(function (e) {
    if (!(e.textContent.trim() || e.getAttribute('aria-label'))) bad.push('a link without a name');
    if (e.closest('nav') && e.getBoundingClientRect().height < 24) bad.push('a small target: ' + label(e));
  });
  document.querySelectorAll('[id]').forEach(function (e) {
    if (document.querySelectorAll('#' + CSS.escape(e.id)).length > 1) bad.push('two of id ' + e.id);
  });
  return bad;
})()"""

LINKS = "Array.prototype.map.call(document.querySelectorAll('a[href],link[href]'), function (a) { return a.href; })"
IDS = "Array.prototype.map.call(document.querySelectorAll('[id]'), function (e) { return e.id; })"
ROWS = "Array.prototype.filter.call(document.querySelectorAll('#matrix tbody tr'), function (r) {" \
       " return r.offsetParent !== null; }).length"


KINDS = {
    "vendor-stated": {"url": "https://vendor.example/list", "seen": "2026-01-01", "quote": "It runs <b>well</b> & fast."},
    "planned": {"for": "2099-01-01"},
    "unknown": {},
}


def claim(kind, product, persona):
    """A claim in the one spelling that is taken."""
    c = {"hospes-claim": 1, "kind": kind, "made": "2026-01-02T03:04:05Z",
         "host": {"vendor": "the hospes project", "product": "hospes", "version": "0.1.0"},
         "guest": {"vendor": "Example", "product": product, "version": "2019 Datacenter Edition", "arch": "x86_64"},
         "persona": persona, "firmware": "uefi", "level": "Tech preview", "maturity": "preview", "max-cpus": 64,
         "max-memory": 1 << 40, "owner": "both", "notes": ["slow-clock"], "evidence": KINDS[kind]}
    text = json.dumps(c, indent=2, separators=(",", ":")).replace("{}", "{\n  }")
    return text + "\n"


def furnish(hospes, catalogue, work):
    """The catalogue, and beside it every other kind of claim, a note, an erratum, and names that are too long."""
    def run(*args):
        subprocess.run([hospes] + list(args), check=True, stdout=subprocess.DEVNULL)

    key, full = os.path.join(work, "key"), os.path.join(work, "full")
    run("validate", "key", key)
    files = []
    for i, (kind, product, persona) in enumerate((
            ("vendor-stated", "Server", "hyperv"), ("planned", "Server", "vmware"), ("unknown", "Server", "bare"),
            ("planned", "Averyverylongproductnamethatnobodywouldeverthinkofbutsomebodydid", "xen"))):
        files.append(os.path.join(work, "claim-%d.json" % i))
        with open(files[-1], "w") as f:
            f.write(claim(kind, product, persona))
    run("catalogue", "add", "--claim", "--key", key + ".key", "--name", "test", "--trust",
        os.path.join(catalogue, "trust.json"), full, *files)
    run("catalogue", "merge", full, catalogue)
    run("catalogue", "errata", "--add", "slow-clock", "--text", "The clock is slow; see the longest word: " + "x" * 80,
        "--applies", "persona=xen", "--since", "0.1.0", "--issue", "https://bugs.example/7", "--key", key + ".key", full)
    run("catalogue", "errata", "--add", "remark-1", "--remark", "--text", "Nothing is wrong.", "--key", key + ".key", full)
    return full


def pages_of(site):
    return sorted(os.path.relpath(p, site) for p in glob.glob(site + "/**/*.html", recursive=True))


def some_of(pages):
    """All that lie at the top, and a few of each folder: the others are made by the same lines."""
    folder = {}
    for page in pages:
        folder.setdefault(os.path.dirname(page), []).append(page)
    return [p for name, those in folder.items() for p in (those if not name else sorted(set(those[:2] + those[-2:])))]


class Look:
    def __init__(self, browser, site, pictures):
        self.b, self.site, self.pictures, self.faults = browser, site, pictures, []

    def fault(self, page, how, what):
        self.faults.append("%s (%s): %s" % (page, how, what))

    def go(self, page):
        self.b.go("file://" + urllib.parse.quote(os.path.join(self.site, page)))

    def page(self, page, window, dark, script):
        how = "%s, %s%s" % (window, "dark" if dark else "light", "" if script else ", no script")
        self.b.look(*WINDOWS[window], dark, script)
        self.go(page)
        for what in self.b.value(RULES) + self.b.complaints():
            self.fault(page, how, what)
        hidden = self.b.value("var f = document.getElementById('filter'); f ? f.hidden : null")
        if hidden is not None and hidden == script:
            self.fault(page, how, "the filter is %s" % ("hidden" if hidden else "shown and cannot work"))
        if self.pictures and not script:
            name = "%s-%s-%s.png" % (page.replace("/", "-")[:40], window, "dark" if dark else "light")
            self.b.picture(os.path.join(self.pictures, name))

    def links(self, pages):
        ids, wanted = {}, {}
        for page in pages:
            self.go(page)
            ids[os.path.join(self.site, page)] = set(self.b.value(IDS))
            wanted[page] = set(self.b.value(LINKS))
        for page, hrefs in wanted.items():
            for href in hrefs:
                u = urllib.parse.urlparse(href)
                path = urllib.parse.unquote(u.path)
                if u.scheme != "file" or not path.startswith(self.site):
                    self.fault(page, "links", "leads out of the site: " + href)
                elif not os.path.isfile(path):
                    self.fault(page, "links", "leads nowhere: " + href)
                elif u.fragment and u.fragment not in ids.get(path, set()):
                    self.fault(page, "links", "no such place: " + href)

    def filter(self):
        """The filter hides rows and says how many are left; the same page without scripts shows all."""
        self.b.look(*WINDOWS["desk"], False, True)
        self.go("index.html")
        rows = self.b.value(ROWS)
        said = "var f = document.forms.filter || document.getElementById('filter'); f.text.value = %s;" \
               " f.dispatchEvent(new Event('input', {bubbles: true})); document.getElementById('shown').textContent"
        for text, left in (("'no such guest anywhere'", 0), ("''", rows)):
            told = self.b.value(said % text)
            if self.b.value(ROWS) != left or told != "%d of %d guests" % (left, rows):
                self.fault("index.html", "filter", "%s leaves %s rows and says %s" % (text, self.b.value(ROWS), told))


def main():
    hospes, catalogue = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])
    pictures = os.path.abspath(sys.argv[3]) if len(sys.argv) > 3 else None
    if not (shutil.which("chromium") or shutil.which("chromium-browser")):
        print("no chromium")
        return 77
    if pictures:
        os.makedirs(pictures, exist_ok=True)
    work = tempfile.mkdtemp()
    browser = None
    try:
        site = os.path.join(work, "site")
        subprocess.run([hospes, "catalogue", "build", furnish(hospes, catalogue, work), site], check=True,
                       stdout=subprocess.DEVNULL)
        browser = Browser(os.path.join(work, "profile"))
        look = Look(browser, site, pictures)
        pages = pages_of(site)
        for page in some_of(pages):
            for window in WINDOWS:
                for dark in (False, True):
                    look.page(page, window, dark, False)
            look.page(page, "desk", False, True)
        look.links(pages)
        look.filter()
        print("\n".join(look.faults) or "%d pages" % len(pages))
        return 1 if look.faults or len(pages) < 4 else 0
    finally:
        if browser:
            browser.close()
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
