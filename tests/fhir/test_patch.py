"""Three kinds of patches: what they make of a resource, and what they may not touch."""

import base64

import orjson
import pytest

from pgo.errors import BadRequest, BadValue, PgoError, TooCostly, Unprocessable, UnsupportedMedia
from pgo.fhir import text
from pgo.fhir.patch import apply, of_resource, read

PATIENT = {
    "resourceType": "Patient",
    "id": "p",
    "meta": {"versionId": "3", "lastUpdated": "2026-01-01T00:00:00Z", "security": [{"code": "R"}]},
    "active": True,
    "name": [{"family": "De Vries", "given": ["Anna", "Bea"]}, {"text": "Annie"}],
    "birthDate": "2001-01-01",
}


def tree(resource=PATIENT):
    return text.parse(orjson.dumps(resource))


def patched(patch, resource=PATIENT, how="json-patch", release="r4"):
    raw = patch if isinstance(patch, bytes) else orjson.dumps(patch)
    before = tree(resource)
    kept = text.dump(before)
    after = apply(read(how, raw, release), before, release)
    assert text.dump(before) == kept
    return text.plain(after)


# --- RFC 6902 ----------------------------------------------------------------------------------

BASIC = {"resourceType": "Basic", "id": "b"}
RFC = {  # appendix A of the RFC, inside a resource
    "add a member": ({"foo": "bar"}, [{"op": "add", "path": "/baz", "value": "q"}],
        {"foo": "bar", "baz": "q"}),
    "add an element": ({"foo": ["bar", "baz"]}, [{"op": "add", "path": "/foo/1", "value": "qux"}],
        {"foo": ["bar", "qux", "baz"]}),
    "remove a member": ({"baz": "qux", "foo": "bar"}, [{"op": "remove", "path": "/baz"}],
        {"foo": "bar"}),
    "remove an element": ({"foo": ["a", "b", "c"]}, [{"op": "remove", "path": "/foo/1"}],
        {"foo": ["a", "c"]}),
    "replace": ({"baz": "qux"}, [{"op": "replace", "path": "/baz", "value": "boo"}],
        {"baz": "boo"}),
    "move a value": ({"foo": {"bar": "baz", "waldo": "fred"}, "qux": {"corge": "grault"}},
        [{"op": "move", "from": "/foo/waldo", "path": "/qux/thud"}],
        {"foo": {"bar": "baz"}, "qux": {"corge": "grault", "thud": "fred"}}),
    "move an element": ({"foo": ["all", "grass", "cows", "eat"]},
        [{"op": "move", "from": "/foo/1", "path": "/foo/3"}],
        {"foo": ["all", "cows", "eat", "grass"]}),
    "test": ({"baz": "qux", "foo": ["a", 2, "c"]},
        [{"op": "test", "path": "/baz", "value": "qux"}, {"op": "test", "path": "/foo/1",
        "value": 2}], {"baz": "qux", "foo": ["a", 2, "c"]}),
    "add a nested object": ({"foo": "bar"},
        [{"op": "add", "path": "/child", "value": {"grandchild": {}}}],
        {"foo": "bar", "child": {"grandchild": {}}}),
    "unknown members": ({"foo": "bar"},
        [{"op": "add", "path": "/baz", "value": "qux", "xyz": 123}],
        {"foo": "bar", "baz": "qux"}),
    "escapes": ({"/": 9, "~1": 10}, [{"op": "test", "path": "/~01", "value": 10}],
        {"/": 9, "~1": 10}),
    "append": ({"foo": ["bar"]}, [{"op": "add", "path": "/foo/-", "value": ["abc", "def"]}],
        {"foo": ["bar", ["abc", "def"]]}),
    "copy": ({"foo": ["a"]}, [{"op": "copy", "from": "/foo", "path": "/bar"},
        {"op": "add", "path": "/bar/-", "value": "b"}], {"foo": ["a"], "bar": ["a", "b"]}),
    "add over": ({"foo": 1}, [{"op": "add", "path": "/foo", "value": None}], {"foo": None}),
    "move onto itself": ({"foo": 1}, [{"op": "move", "from": "/foo", "path": "/foo"}], {"foo": 1}),
    "numbers by worth": ({"foo": 1}, [{"op": "test", "path": "/foo", "value": 1.0}], {"foo": 1}),
    "objects without order": ({"foo": {"a": 1, "b": [2]}},
        [{"op": "test", "path": "/foo", "value": {"b": [2], "a": 1}}],
        {"foo": {"a": 1, "b": [2]}}),
}  # fmt: skip


@pytest.mark.parametrize(("before", "patch", "after"), RFC.values(), ids=RFC)
def test_json_patch_does_what_the_rfc_says(before, patch, after):
    assert patched(patch, BASIC | before) == BASIC | after


REFUSED = {
    "a failing test": ([{"op": "test", "path": "/active", "value": False}], 422),
    "a string is no number": ([{"op": "test", "path": "/name/0/given/0", "value": 10}], 422),
    "true is not one": ([{"op": "test", "path": "/active", "value": 1}], 422),
    "nothing there": ([{"op": "remove", "path": "/gender"}], 422),
    "replace what is not there": ([{"op": "replace", "path": "/gender", "value": "male"}], 422),
    "past the end": ([{"op": "add", "path": "/name/9", "value": {}}], 422),
    "not an index": ([{"op": "add", "path": "/name/01", "value": {}}], 422),
    "minus": ([{"op": "remove", "path": "/name/-"}], 422),
    "below a string": ([{"op": "add", "path": "/birthDate/0", "value": "x"}], 422),
    "below nothing": ([{"op": "add", "path": "/a/b", "value": "x"}], 422),
    "remove it all": ([{"op": "remove", "path": ""}], 422),
    "into itself": ([{"op": "move", "from": "/name", "path": "/name/0/x"}], 400),
    "no op": ([{"path": "/active"}], 400),
    "other op": ([{"op": "SECRET", "path": "/active"}], 400),
    "no path": ([{"op": "remove"}], 400),
    "no slash": ([{"op": "remove", "path": "active"}], 400),
    "bad escape": ([{"op": "remove", "path": "/a~2"}], 400),
    "no value": ([{"op": "add", "path": "/active"}], 400),
    "no from": ([{"op": "move", "path": "/active"}], 400),
    "not an object": (["SECRET"], 400),
    "not an array": ({"op": "remove", "path": "/active"}, 400),
    "too deep": ([{"op": "remove", "path": "/a" * 65}], 400),
}


@pytest.mark.parametrize(("patch", "status"), REFUSED.values(), ids=REFUSED)
def test_what_does_not_fit_is_refused_and_the_operation_named(patch, status):
    with pytest.raises(PgoError) as caught:
        patched(patch)
    assert caught.value.status == status
    assert "SECRET" not in f"{caught.value.detail}{caught.value.place}"
    if isinstance(patch, list):
        assert caught.value.place.startswith("patch[0]")


def test_the_operation_that_fails_is_named_and_nothing_is_done():
    good = {"op": "replace", "path": "/active", "value": False}
    with pytest.raises(Unprocessable) as caught:
        patched([good, good, {"op": "remove", "path": "/nowhere"}])
    assert caught.value.place == "patch[2].path"


KEPT = {
    "type": {"op": "replace", "path": "/resourceType", "value": "Person"},
    "id": {"op": "replace", "path": "/id", "value": "q"},
    "no id": {"op": "remove", "path": "/id"},
    "version": {"op": "replace", "path": "/meta/versionId", "value": "4"},
    "moment": {"op": "remove", "path": "/meta/lastUpdated"},
    "source": {"op": "add", "path": "/meta/source", "value": "urn:x"},
    "meta": {"op": "remove", "path": "/meta"},
    "label": {"op": "remove", "path": "/meta/security/0"},
    "labels": {"op": "replace", "path": "/meta/security", "value": [{"code": "N"}]},
    "everything": {"op": "replace", "path": "", "value": {"resourceType": "Patient"}},
    "no object": {"op": "replace", "path": "", "value": 1},
}


@pytest.mark.parametrize("step", KEPT.values(), ids=KEPT)
def test_what_is_the_servers_stays_as_it_is(step):
    allowed = {"op": "replace", "path": "/active", "value": False}
    with pytest.raises(Unprocessable) as caught:
        patched([allowed, step, allowed])
    assert caught.value.place == "patch[1]"


def test_a_label_may_be_added_and_the_version_may_be_tested():
    added = {"op": "add", "path": "/meta/security/-", "value": {"code": "V"}}
    tested = {"op": "test", "path": "/meta/versionId", "value": "3"}
    assert patched([tested, added])["meta"]["security"] == [{"code": "R"}, {"code": "V"}]


def test_a_label_of_a_contained_resource_stays_too():
    inner = {"resourceType": "Basic", "meta": {"security": [{"system": "s", "code": "V"}]}}
    with pytest.raises(Unprocessable):
        patched([{"op": "remove", "path": "/contained"}], PATIENT | {"contained": [inner]})


def test_numbers_that_are_not_touched_keep_their_lexemes():
    resource = text.parse(b'{"resourceType":"Basic","a":1.00,"b":[2.50]}')
    patch = read("json-patch", b'[{"op":"add","path":"/c","value":3.000}]', "r4")
    assert text.dump(apply(patch, resource, "r4")).endswith(b'"a":1.00,"b":[2.50],"c":3.000}')


def test_copies_cannot_grow_without_end():
    double = [
        {"op": "copy", "from": "/name", "path": "/name/0/x"},
        {"op": "copy", "from": "/name/0/x", "path": "/name/1/y"},
    ]
    with pytest.raises(Unprocessable) as caught:
        patched(double * 50)
    assert "large" in caught.value.detail or "deep" in caught.value.detail


def test_moves_cannot_go_deeper_than_a_resource_may():
    deep = [{"op": "add", "path": "/x", "value": {"a": {}}}]
    for n in range(40):
        deep += [
            {"op": "add", "path": f"/y{n}", "value": {"a": {"a": {"a": {}}}}},
            {"op": "move", "from": "/x", "path": f"/y{n}/a/a/a/b"},
        ]
        deep += [{"op": "move", "from": f"/y{n}", "path": "/x"}]
    with pytest.raises(Unprocessable):
        patched(deep[:100])


def test_more_than_a_hundred_operations_are_refused():
    step = {"op": "test", "path": "/active", "value": True}
    patched([step] * 100)
    with pytest.raises(TooCostly):
        patched([step] * 101)
    parts = [{"name": "type", "valueCode": "delete"}, {"name": "path", "valueString": "Patient.x"}]
    operation = {"name": "operation", "part": parts}
    many = {"resourceType": "Parameters", "parameter": [operation] * 101}
    with pytest.raises(TooCostly):
        patched(many, how="json")


# --- RFC 7386 ----------------------------------------------------------------------------------

MERGES = [  # appendix A of the RFC, inside a resource
    ({"a": "b"}, {"a": "c"}, {"a": "c"}),
    ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
    ({"a": "b"}, {"a": None}, {}),
    ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
    ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
    ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
    ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
    ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
    ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
    ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
]


@pytest.mark.parametrize(("before", "patch", "after"), MERGES)
def test_merge_patch_does_what_the_rfc_says(before, patch, after):
    assert patched(patch, BASIC | before, how="merge-patch") == BASIC | after


@pytest.mark.parametrize(
    "patch",
    [
        {"id": "q"},
        {"resourceType": "Person"},
        {"meta": None},
        {"meta": {"versionId": "9"}},
        {"meta": {"security": []}},
        {"meta": "x"},
    ],
)
def test_a_merge_patch_does_not_touch_what_is_the_servers(patch):
    with pytest.raises(Unprocessable):
        patched(patch, how="merge-patch")


# --- FHIRPath Patch ----------------------------------------------------------------------------


def operation(type_, path, **parts):
    rows = [{"name": "type", "valueCode": type_}, {"name": "path", "valueString": path}]
    for name, value in parts.items():
        rows.append({"name": name} | value)
    return {"name": "operation", "part": rows}


def fhirpath(*operations, resource=PATIENT, release="r4"):
    patch = {"resourceType": "Parameters", "parameter": list(operations)}
    return patched(patch, resource, how="json", release=release)


def string(value):
    return {"valueString": value}


def number(value):
    return {"valueInteger": value}


NAMED = {
    "resourceType": "Patient",
    "id": "p",
    "identifier": [
        {"system": "s1", "value": "1"},
        {"system": "s2", "value": "2"},
        {"system": "s3", "value": "3"},
    ],
}
BORN = {"resourceType": "Patient", "id": "p", "birthDate": "1920-01-01"}
GIVEN = {
    "resourceType": "Patient",
    "id": "p",
    "name": [{"given": ["A", "B", "C"], "_given": [None, {"id": "b"}, None]}],
}
MEASURED = {
    "resourceType": "Observation",
    "id": "o",
    "status": "final",
    "code": {"text": "x"},
    "valueQuantity": {"value": 1},
}
CONTACT = {
    "name": "value",
    "part": [
        {"name": "name", "valueHumanName": {"text": "a"}},
        {"name": "telecom", "valueContactPoint": {"value": "1"}},
        {"name": "telecom", "valueContactPoint": {"value": "2"}},
    ],
}
EXTENDED = {
    "resourceType": "Patient",
    "id": "p",
    "birthDate": "1920-01-01",
    "_birthDate": {
        "extension": [{"url": "u", "valueString": "x"}, {"url": "v", "valueString": "y"}]
    },
}

FHIRPATH = {
    "add an element": (
        {"resourceType": "Patient", "id": "p"},
        operation("add", "Patient", name=string("birthDate"), value={"valueDate": "1930-01-01"}),
        {"birthDate": "1930-01-01"}),
    "add to a list": (
        NAMED, operation("add", "Patient", name=string("identifier"),
            value={"valueIdentifier": {"system": "s4"}}),
        {"identifier": [*NAMED["identifier"], {"system": "s4"}]}),
    "add to a list that is not there": (
        BORN,
        operation("add", "Patient", name=string("identifier"),
            value={"valueIdentifier": {"system": "s4"}}),
        BORN | {"identifier": [{"system": "s4"}]}),
    "add an anonymous type": (
        BORN, operation("add", "Patient", name=string("contact"), value=CONTACT),
        BORN | {"contact": [{"name": {"text": "a"}, "telecom": [{"value": "1"}, {"value": "2"}]}]}),
    "add inside": (
        NAMED, operation("add", "Patient.identifier[1]", name=string("use"),
            value={"valueCode": "old"}),
        {"identifier": [NAMED["identifier"][0], {"system": "s2", "value": "2", "use": "old"},
            NAMED["identifier"][2]]}),
    "add a choice": (
        BORN, operation("add", "Patient", name=string("deceased"), value={"valueBoolean": True}),
        BORN | {"deceasedBoolean": True}),
    "add an extension to a primitive": (
        BORN, operation("add", "Patient.birthDate", name=string("extension"),
            value={"valueExtension": {"url": "u", "valueString": "x"}}),
        BORN | {"_birthDate": {"extension": [{"url": "u", "valueString": "x"}]}}),
    "add a primitive to a list with ids": (
        GIVEN, operation("add", "Patient.name[0]", name=string("given"), value=string("D")),
        {"name": [{"given": ["A", "B", "C", "D"], "_given": [None, {"id": "b"}, None, None]}]}),
    "delete": (BORN, operation("delete", "Patient.birthDate"), {"birthDate": None}),
    "delete what is not there": (BORN, operation("delete", "Patient.gender"), BORN),
    "delete from a list": (
        NAMED, operation("delete", "Patient.identifier.where(system = 's2')"),
        {"identifier": [NAMED["identifier"][0], NAMED["identifier"][2]]}),
    "delete the last of an object": (
        {"resourceType": "Patient", "id": "p", "maritalStatus": {"coding": [{"code": "M"}]}},
        operation("delete", "Patient.maritalStatus.coding.code"), {"maritalStatus": None}),
    "delete a primitive from a list with ids": (
        GIVEN, operation("delete", "Patient.name.given[0]"),
        {"name": [{"given": ["B", "C"], "_given": [{"id": "b"}, None]}]}),
    "delete an extension of a primitive": (
        EXTENDED, operation("delete", "Patient.birthDate.extension('u')"),
        EXTENDED | {"_birthDate": {"extension": [{"url": "v", "valueString": "y"}]}}),
    "delete an id of a primitive": (
        GIVEN, operation("delete", "Patient.name.given[1].id"),
        {"name": [{"given": ["A", "B", "C"]}]}),
    "replace": (
        BORN, operation("replace", "Patient.birthDate", value={"valueDate": "1930-01-01"}),
        {"birthDate": "1930-01-01"}),
    "replace in a list": (
        NAMED, operation("replace", "Patient.identifier[0].value", value=string("X")),
        {"identifier": [{"system": "s1", "value": "X"}, *NAMED["identifier"][1:]]}),
    "replace a choice by the same type": (
        MEASURED, operation("replace", "Observation.value", value={"valueQuantity": {"value": 2}}),
        {"valueQuantity": {"value": 2}}),
    "replace a choice by another type": (
        MEASURED, operation("replace", "Observation.value", value=string("many")),
        {"valueQuantity": None, "valueString": "many"}),
    "replace the value of an extension of a primitive": (
        EXTENDED, operation("replace", "Patient.birthDate.extension.where(url='v').value",
            value={"valueCode": "z"}),
        {"_birthDate": {"extension": [{"url": "u", "valueString": "x"},
            {"url": "v", "valueCode": "z"}]}}),
    "insert at the start": (
        NAMED, operation("insert", "Patient.identifier", index=number(0),
            value={"valueIdentifier": {"system": "s0"}}),
        {"identifier": [{"system": "s0"}, *NAMED["identifier"]]}),
    "insert at the end": (
        NAMED, operation("insert", "Patient.identifier", index=number(3),
            value={"valueIdentifier": {"system": "s0"}}),
        {"identifier": [*NAMED["identifier"], {"system": "s0"}]}),
    "insert in a list that is not there": (
        BORN,
        operation("insert", "Patient.identifier", index=number(0),
            value={"valueIdentifier": {"system": "s0"}}),
        BORN | {"identifier": [{"system": "s0"}]}),
    "insert a primitive beside ids": (
        GIVEN, operation("insert", "Patient.name.given", index=number(1), value=string("X")),
        {"name": [{"given": ["A", "X", "B", "C"], "_given": [None, None, {"id": "b"}, None]}]}),
    "move down": (
        NAMED, operation("move", "Patient.identifier", source=number(2), destination=number(0)),
        {"identifier": [NAMED["identifier"][2], *NAMED["identifier"][:2]]}),
    "move up": (
        NAMED, operation("move", "Patient.identifier", source=number(0), destination=number(2)),
        {"identifier": [*NAMED["identifier"][1:], NAMED["identifier"][0]]}),
    "first and last": (
        NAMED, operation("delete", "Patient.identifier.last().value"),
        {"identifier": [*NAMED["identifier"][:2], {"system": "s3"}]}),
    "a condition of parts": (
        NAMED, operation("delete",
            "identifier.where((system='s1' or system = 's3') and value != '1')"),
        {"identifier": NAMED["identifier"][:2]}),
    "a condition on what is there": (
        EXTENDED, operation("delete", "Patient.where(birthDate.exists()).birthDate.extension[0]"),
        EXTENDED | {"_birthDate": {"extension": [{"url": "v", "valueString": "y"}]}}),
    "a choice by its type": (
        MEASURED, operation("delete", "Observation.value.ofType(Quantity)"),
        {"valueQuantity": None}),
    "another type": (MEASURED, operation("delete", "Observation.value.ofType(string)"), MEASURED),
    "quoted": (BORN, operation("delete", "Patient.`birthDate`"), {"birthDate": None}),
}  # fmt: skip


@pytest.mark.parametrize("release", ["r4", "stu3"])
@pytest.mark.parametrize(("before", "step", "after"), FHIRPATH.values(), ids=FHIRPATH)
def test_fhirpath_patch_does_what_the_specification_says(before, step, after, release):
    expected = {name: value for name, value in (before | after).items() if value is not None}
    assert fhirpath(step, resource=before, release=release) == expected


NOT_FHIRPATH = {
    "nothing there": operation("replace", "Patient.gender", value={"valueCode": "male"}),
    "more than one": operation("delete", "Patient.name"),
    "there already": operation(
        "add", "Patient", name=string("birthDate"), value={"valueDate": "1930-01-01"}
    ),
    "no such element": operation("add", "Patient", name=string("SECRET"), value=string("x")),
    "no such choice": operation("add", "Patient", name=string("deceased"), value=string("x")),
    "object for a primitive": operation(
        "replace", "Patient.birthDate", value={"valuePeriod": {"start": "2020"}}
    ),
    "primitive for an object": operation("replace", "Patient.name[0]", value=string("SECRET")),
    "parts for a primitive": operation(
        "replace", "Patient.birthDate", value={"part": [{"name": "x", "valueString": "y"}]}
    ),
    "whole resource": operation("delete", "Patient"),
    "other resource": operation("replace", "Person.birthDate", value={"valueDate": "1930"}),
    "past the end": operation(
        "insert", "Patient.name", index=number(3), value={"valueHumanName": {"text": "x"}}
    ),
    "move past the end": operation("move", "Patient.name", source=number(2), destination=number(0)),
    "no list": operation("insert", "Patient.birthDate", index=number(0), value=string("x")),
    "insert at a function": operation(
        "insert", "Patient.name.first()", index=number(0), value=string("x")
    ),
    "no path": {"name": "operation", "part": [{"name": "type", "valueCode": "delete"}]},
    "no type": {"name": "operation", "part": [{"name": "path", "valueString": "Patient"}]},
    "other type": operation("SECRET", "Patient"),
    "other part": operation("delete", "Patient.birthDate", SECRET=string("x")),
    "twice": {"name": "operation", "part": [{"name": "type", "valueCode": "delete"}] * 2},
    "no value": operation("replace", "Patient.birthDate", value={}),
    "two values": operation(
        "replace", "Patient.birthDate", value={"valueDate": "1930", "valueString": "x"}
    ),
    "no index": operation("insert", "Patient.name", value={"valueHumanName": {"text": "x"}}),
    "negative": operation(
        "insert", "Patient.name", index=number(-1), value={"valueHumanName": {"text": "x"}}
    ),
    "not an operation": {"name": "SECRET"},
    "id": operation("replace", "Patient.id", value={"valueId": "q"}),
    "version": operation("replace", "Patient.meta.versionId", value={"valueId": "9"}),
    "label": operation("delete", "Patient.meta.security"),
    "meta": operation("delete", "Patient.meta"),
}


@pytest.mark.parametrize("step", NOT_FHIRPATH.values(), ids=NOT_FHIRPATH)
def test_an_operation_that_does_not_fit_is_refused_and_named(step):
    good = operation("replace", "Patient.active", value={"valueBoolean": False})
    with pytest.raises(PgoError) as caught:
        fhirpath(good, step)
    assert caught.value.status in {400, 422}
    assert caught.value.place.startswith("Parameters.parameter[1]")
    assert "SECRET" not in f"{caught.value.detail}{caught.value.place}"


@pytest.mark.parametrize(
    "path",
    [
        "",
        ".",
        "Patient..name",
        "Patient.name[",
        "Patient.name[x]",
        "Patient.name[-1]",
        "Patient.name[1.5]",
        "Patient.name.where()",
        "Patient.name.where(given)",
        "Patient.name.where(given = )",
        "Patient.name.repeat(given)",
        "Patient.name.select(given)",
        "Patient.name | Patient.contact",
        "Patient.name.given + 'x'",
        "'text'",
        "%resource.name",
        "Patient.name; drop",
        "Patient.name.where(" + "(" * 50 + "true = true" + ")" * 50 + ")",
        "Patient" + ".name" * 1000,
    ],
)
def test_a_path_that_is_not_understood_is_refused(path):
    with pytest.raises(BadRequest) as caught:
        fhirpath(operation("delete", path))
    assert caught.value.place == "Parameters.parameter[0].path" or not path


# --- in a Bundle -------------------------------------------------------------------------------


def binary(media, raw: bytes, member="data"):
    data = base64.b64encode(raw).decode()
    return {"resourceType": "Binary", "contentType": media, member: data}


def test_a_binary_holds_a_patch_of_any_kind():
    steps = b'[{"op":"replace","path":"/active","value":false}]'
    whole = of_resource(binary("application/json-patch+json", steps), "r4", "x")
    assert apply(whole, tree(), "r4")["active"] is False
    part = b'{"active":false}'
    merge = of_resource(binary("application/merge-patch+json", part, "content"), "stu3", "x")
    assert apply(merge, tree(), "stu3")["active"] is False
    step = operation("replace", "Patient.active", value={"valueBoolean": False})
    parameters = {"resourceType": "Parameters", "parameter": [step]}
    assert apply(of_resource(parameters, "r4", "x"), tree(), "r4")["active"] is False


@pytest.mark.parametrize(
    ("resource", "kind"),
    [
        (None, BadRequest),
        ({"resourceType": "Patient"}, BadRequest),
        ({"resourceType": "Parameters"}, BadRequest),
        (binary("application/json-patch+json", b"SECRET"), BadRequest),
        (binary("text/plain", b"SECRET"), UnsupportedMedia),
        ({"resourceType": "Binary", "contentType": "a/b", "data": "****"}, BadValue),
    ],
)
def test_anything_else_in_an_entry_is_no_patch(resource, kind):
    with pytest.raises(kind) as caught:
        of_resource(resource, "r4", "Bundle.entry[2].resource")
    assert "SECRET" not in f"{caught.value.detail}{caught.value.place}"


def test_a_fhirpath_patch_may_come_as_xml():
    raw = (
        b'<Parameters xmlns="http://hl7.org/fhir"><parameter><name value="operation"/>'
        b'<part><name value="type"/><valueCode value="replace"/></part>'
        b'<part><name value="path"/><valueString value="Patient.birthDate"/></part>'
        b'<part><name value="value"/><valueDate value="1930-01-01"/></part>'
        b"</parameter></Parameters>"
    )
    assert patched(raw, how="xml")["birthDate"] == "1930-01-01"
