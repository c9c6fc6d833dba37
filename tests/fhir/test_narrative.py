"""Narrative is shown to people: what could run, load or hide something is not taken."""

import pytest

from pgo.fhir import narrative


def div(inside):
    return f'<div xmlns="http://www.w3.org/1999/xhtml">{inside}</div>'


GOOD = [
    'tekst &amp; &#160; <b class="x">vet</b>',
    '<table border="1"><thead><tr><th colspan="2">a</th></tr></thead><tr><td>b</td></tr></table>',
    '<a href="https://x.test/?a=1">x</a><a href="#p" name="y">y</a><a href="Patient/1">z</a>',
    '<a href="mailto:a@x.test">m</a><a href="tel:+31101234567">t</a>',
    '<img src="#bin" alt="x"/><img src="Binary/1" alt=""/>',
    '<img src="data:image/png;base64,iVBORw0KGgo=" alt="x"/>',
    '<img src="https://x.test:8443/a/p.png?b=1" alt="x"/>',
    '<img src="p.png" alt=""/>',
    "<!-- a plain comment - of one line -->a",
    "",
    "  \n ",
    "<p> </p>",
    '<p style="color: red; font-weight: bold" lang="nl" xml:lang="nl">x</p><br/><hr/>',
]


@pytest.mark.parametrize("inside", GOOD)
def test_plain_formatting_is_taken(inside):
    assert narrative.faults(div(inside)) == []


BAD = [
    "<script>alert(1)</script>",
    "<SCRIPT>alert(1)</SCRIPT>",
    '<p onclick="x()">a</p>',
    '<p ONCLICK="x()">a</p>',
    '<a href="javascript:alert(1)">a</a>',
    '<a href="JaVaScRiPt:alert(1)">a</a>',
    '<a href=" javascript:alert(1)">a</a>',
    '<a href="java&#10;script:alert(1)">a</a>',
    '<a href="java&#9;script:alert(1)">a</a>',
    '<a href="data:text/html;base64,PHNjcmlwdD4=">a</a>',
    '<a href="vbscript:x">a</a>',
    '<a href="weird:x">a</a>',
    r'<a href="\\x.test\share">a</a>',
    '<img src="https://x.test@y.test/p.png" alt=""/>',
    r'<img src="https://x.test\p.png" alt=""/>',
    '<img src="ftp://x.test/p.png" alt=""/>',
    '<img src="//x.test/p.png" alt=""/>',
    '<img src="../p.png" alt=""/>',
    '<img src="/p.png" alt=""/>',
    '<img src="p.svg" alt=""/>',
    '<img src="data:image/svg+xml;base64,PHN2Zy8+" alt=""/>',
    '<img src="x" onerror="alert(1)"/>',
    '<img alt="x" srcset="https://x.test/p.png"/>',
    '<p style="background: url(https://x.test)">a</p>',
    '<p style="background: u\\72l(https://x.test)">a</p>',
    '<p style="width: expression(alert(1))">a</p>',
    '<p style="@import x">a</p>',
    '<p style="-moz-binding: x">a</p>',
    "<style>p {}</style>",
    '<link rel="stylesheet" href="x"/>',
    "<iframe/>x",
    '<object data="x"/>',
    '<embed src="x"/>',
    "<form><input/></form>",
    '<base href="https://x.test"/>',
    '<meta http-equiv="refresh" content="0"/>',
    '<svg xmlns="http://www.w3.org/2000/svg"><script>1</script></svg>',
    '<math xmlns="http://www.w3.org/1998/Math/MathML"/>x',
    '<p xmlns="urn:other">a</p>',
    '<a xmlns:xlink="http://www.w3.org/1999/xlink" xlink:href="javascript:1">a</a>',
    "<!--><img src=x onerror=alert(1)>-->a",
    "<!-->a<!-- -->",
    "<!-- a --!><img src=x onerror=alert(1)>-->a",
    "<!-- <b>a</b> -->a",
    "<!-- a -- b -->a",
    "<![CDATA[<script>alert(1)</script>]]>a",
    "<?php x ?>a",
    "&nbsp;",
    "<p>open",
]


@pytest.mark.parametrize("inside", BAD)
def test_what_could_run_load_or_hide_is_not_taken(inside):
    faults = narrative.faults(div(inside))
    assert faults
    assert "alert" not in str(faults)


@pytest.mark.parametrize(
    "text",
    [
        "tekst",
        "<div>no namespace</div>",
        '<p xmlns="http://www.w3.org/1999/xhtml">no div</p>',
        div("a") + div("b"),
        f"<!DOCTYPE div>{div('a')}",
        '<div xmlns="http://www.w3.org/1999/xhtml" onload="x()">a</div>',
        div("<b>" * 300 + "x" + "</b>" * 300),
    ],
)
def test_it_is_one_div(text):
    assert narrative.faults(text)
