"""FHIR XML becomes the tree that FHIR JSON gives, and nothing in it is obeyed."""

from pathlib import Path

import pytest

from pgo.errors import BadRequest, BadValue, Malformed
from pgo.fhir import text
from pgo.fhir.xml import from_xml

DATA = Path(__file__).resolve().parents[2] / "../shared/data/fhir"
NS = 'xmlns="http://hl7.org/fhir"'
DIV = '<div xmlns="http://www.w3.org/1999/xhtml">'


def patient(inside: str, head: str = "") -> bytes:
    return f"{head}<Patient {NS}>{inside}</Patient>".encode()


def read(inside: str, release="r4"):
    tree = from_xml(patient(inside), release)
    assert text.dump(text.parse(text.dump(tree))) == text.dump(tree)
    return text.plain({key: value for key, value in tree.items() if key != "resourceType"})


def test_single_and_repeated_elements():
    inside = (
        '<id value="a"/><name><given value="A"/><given value="B"/></name><active value="true"/>'
    )
    assert read(inside) == {"id": "a", "active": True, "name": [{"given": ["A", "B"]}]}


def test_a_number_keeps_its_lexeme():
    raw = f'<Observation {NS}><valueQuantity><value value="1.00"/></valueQuantity></Observation>'
    tree = from_xml(raw.encode(), "r4")
    assert text.dump(tree) == b'{"resourceType":"Observation","valueQuantity":{"value":1.00}}'


def test_members_come_in_the_order_of_the_definition():
    tree = read('<gender value="male"/><language value="nl"/><id value="x"/>')
    assert list(tree) == ["id", "language", "gender"]


def test_ids_and_extensions_on_primitives_stand_beside_them():
    extension = '<extension url="u"><valueCode value="masked"/></extension>'
    tree = read(
        f'<birthDate id="b" value="2000-01-01">{extension}</birthDate>'
        f'<name id="n"><family>{extension}</family>'
        f'<given value="A"/><given>{extension}</given><given id="g" value="C"/></name>'
    )
    masked = [{"url": "u", "valueCode": "masked"}]
    assert tree["_birthDate"] == {"id": "b", "extension": masked}
    assert tree["name"][0] == {
        "id": "n",
        "_family": {"extension": masked},
        "given": ["A", None, "C"],
        "_given": [None, {"extension": masked}, {"id": "g"}],
    }


def test_an_extension_has_its_url_before_its_value():
    tree = read('<extension id="i" url="u"><valueBoolean value="false"/></extension>')
    assert tree["extension"] == [{"id": "i", "url": "u", "valueBoolean": False}]
    assert list(tree["extension"][0]) == ["id", "url", "valueBoolean"]


def test_narrative_stays_text_with_its_namespace_only():
    div = f"{DIV}a &amp; <b>b</b><!-- gone --><br/>é</div>"
    raw = (
        f'<f:Patient xmlns:f="http://hl7.org/fhir" xmlns:y="urn:y"><f:text><f:status '
        f'value="generated"/>{div}</f:text></f:Patient>'
    )
    tree = from_xml(raw.encode(), "r4")
    assert tree["text"]["div"] == f"{DIV}a &amp; <b>b</b><br/>é</div>"


def test_narrative_with_a_prefix_loses_it():
    div = '<h:div xmlns:h="http://www.w3.org/1999/xhtml">a<h:p title="x">b</h:p>c</h:div>'
    tree = read(f'<text><status value="generated"/>{div}</text>')
    assert tree["text"]["div"] == f'{DIV}a<p title="x">b</p>c</div>'


def test_contained_resources_and_bundle_entries():
    raw = (
        f"<Bundle {NS}><entry><resource><Patient><contained><Organization>"
        f'<name value="x"/></Organization></contained></Patient></resource></entry></Bundle>'
    )
    organization = {"resourceType": "Organization", "name": "x"}
    inside = {"resourceType": "Patient", "contained": [organization]}
    tree = from_xml(raw.encode(), "stu3")
    assert tree == {"resourceType": "Bundle", "entry": [{"resource": inside}]}


def test_a_byte_order_mark_a_declaration_and_a_schema_hint_do_no_harm():
    hint = 'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:schemaLocation="a b"'
    raw = f'<?xml version="1.0" encoding="UTF-8"?><?x y?><Patient {NS} {hint}/>'
    assert from_xml(b"\xef\xbb\xbf" + raw.encode(), "r4") == {"resourceType": "Patient"}


LOL = "".join(f'<!ENTITY l{i} "{f"&l{i - 1};" * 10}">' for i in range(1, 9))
SECRET = "/etc/hostname"
REFUSED = {
    "billion laughs": patient('<id value="&l8;"/>', f'<!DOCTYPE x [<!ENTITY l0 "lol">{LOL}]>'),
    "external entity": patient(
        '<name><text value="x"/></name>&e;', f'<!DOCTYPE x [<!ENTITY e SYSTEM "file://{SECRET}">]>'
    ),
    "external dtd": patient("", f'<!DOCTYPE x SYSTEM "file://{SECRET}">'),
    "parameter entity": patient("", '<!DOCTYPE x [<!ENTITY % p SYSTEM "http://x.test/"> %p;]>'),
    "empty document type": patient("", "<!DOCTYPE x>"),
    "xinclude": patient(
        f'<xi:include xmlns:xi="http://www.w3.org/2001/XInclude" href="{SECRET}" parse="text"/>'
    ),
    "unknown entity": patient('<id value="&nbsp;"/>'),
    "utf-16": patient("").decode().encode("utf-16"),
    "says utf-16": b'<?xml version="1.0" encoding="utf-16"?>' + patient(""),
    "says utf-7": b"<?xml version='1.0' encoding='utf-7'?>" + patient(""),
    "latin-1": patient('<id value="x"/>').replace(b"x", b"\xe9"),
    "not xml": b"{}",
    "nothing": b"",
    "open": b"<Patient>",
    "no namespace": b"<Patient/>",
    "other namespace": b'<Patient xmlns="http://www.w3.org/1999/xhtml"/>',
    "unknown type": f"<Patiënt {NS}/>".encode(),
    "loose text": patient("SECRET"),
    "text after": patient('<id value="x"/>SECRET'),
    "unknown element": patient("<SECRET/>"),
    "unknown attribute": patient('<name SECRET="x"/>'),
    "attribute on the resource": f'<Patient {NS} id="SECRET"/>'.encode(),
    "attribute on a primitive": patient('<id value="x" url="SECRET"/>'),
    "element in a primitive": patient('<id value="x"><given value="y"/></id>'),
    "twice": patient('<id value="x"/><id value="y"/>'),
    "no value": patient("<id/>"),
    "two resources": patient("<contained><Patient/><Patient/></contained>"),
    "div outside narrative": patient(f"{DIV}x</div>"),
    "minus zero": patient('<multipleBirthInteger value="-0"/>'),
    "number": patient('<multipleBirthInteger value="SECRET"/>'),
    "plus": patient('<multipleBirthInteger value="+1"/>'),
    "boolean": patient('<active value="True"/>'),
    "too deep": patient('<extension url="u">' * 40 + "</extension>" * 40),
    "much too deep": patient('<extension url="u">' * 200 + "</extension>" * 200),
    "far too deep": patient('<extension url="u">' * 5000 + "</extension>" * 5000),
    "long string": patient(f'<id value="{"x" * 1_000_001}"/>'),
}


@pytest.mark.parametrize("raw", REFUSED.values(), ids=REFUSED.keys())
def test_it_is_refused_with_400_and_without_a_word_of_it(raw):
    with pytest.raises(BadRequest) as caught:
        from_xml(raw, "r4")
    said = f"{caught.value.detail}{caught.value.place}{caught.value.issues}"
    assert "SECRET" not in said
    assert "lol" not in said
    assert caught.value.__cause__ is None


PLACES = [
    ('<name><given value="a"/><given/></name>', Malformed, "Patient.name[0].given[1]"),
    ('<active value="x"/>', BadValue, "Patient.active"),
    ("<name/><name><x/></name>", Malformed, "Patient.name[1]"),
    ("<name></nam>", Malformed, "line 1, column 50"),
]


@pytest.mark.parametrize(("inside", "error", "place"), PLACES)
def test_the_error_says_where(inside, error, place):
    with pytest.raises(error) as caught:
        from_xml(patient(inside), "r4")
    assert caught.value.place == place


@pytest.mark.outside
@pytest.mark.parametrize(
    ("release", "folder", "least"),
    [
        ("r4", "Nictiz-R4-zib2020/examples", 271),
        ("stu3", "Nictiz-STU3-Zib2017/Examples", 208),
        ("stu3", "Nictiz-STU3-MedicationProcess/Examples", 31),
    ],
)
def test_every_published_example_is_read(release, folder, least):
    if not DATA.is_dir():
        pytest.skip("the folder with outside test data is not beside the checkout")
    files = sorted((DATA / folder).rglob("*.xml"))
    assert len(files) >= least
    for file in files:
        tree = from_xml(file.read_bytes(), release)
        raw = text.dump(tree)
        assert text.dump(text.parse(raw)) == raw
