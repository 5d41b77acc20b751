"""Resource templates: the URIs that they match, and the values of their variables."""

import os

import pytest

from tfo_mcp.domain.errors import InvalidDefinition
from tfo_mcp.domain.resource import Resource, ResourceTemplate


async def unread(*_: object) -> tuple[()]:
    """Fill the required read function; it is never called."""
    return ()


def template(uri_template: str) -> ResourceTemplate:
    """Return a resource template with this URI template."""
    return ResourceTemplate(uri_template, "name", unread)


@pytest.mark.parametrize(
    ("uri_template", "uri", "variables"),
    [
        ("notes://{page}", "notes://1", {"page": "1"}),
        ("notes://{page}/text", "notes://1/text", {"page": "1"}),
        ("notes://{page}/text", "notes://1/2/text", None),
        ("notes://{page}/text", "notes:///text", None),
        ("notes://{page}/text", "notes://1/text/", None),
        ("file:///{path}", "file:///a/b/c.txt", {"path": "a/b/c.txt"}),
        ("file:///{path}", "file:///", None),
        ("file:///{path}", "file:///../x", {"path": "../x"}),
        ("a://{x}/b/{y}", "a://1/b/2/3", {"x": "1", "y": "2/3"}),
        ("a://{x}.{y}/z", "a://one.two/z", {"x": "one", "y": "two"}),
        ("a://{x}", "A://1", None),
        ("a://{x}", "ba://1", None),
        ("a+b.c://{x}?q=1", "a+b.c://1?q=1", {"x": "1"}),
        ("a://(.*)/{x}", "a://anything/1", None),
        ("a://(.*)/{x}", "a://(.*)/1", {"x": "1"}),
        ("a://{x}", "a://line\nbreak", {"x": "line\nbreak"}),
    ],
)
def test_a_template_matches_whole_uris_only(uri_template: str, uri: str, variables: dict[str, str] | None) -> None:
    assert template(uri_template).match(uri) == variables


@pytest.mark.parametrize(
    ("uri", "value"),
    [
        ("a://b%20c", "b c"),
        ("a://caf%C3%A9", "café"),
        ("a://%2541", "%41"),
        ("a://b%2Fc/d", "b/c/d"),
        ("a://100%", "100%"),
        ("a://a+b", "a+b"),
    ],
)
def test_values_are_percent_decoded_exactly_once(uri: str, value: str) -> None:
    assert template("a://{x}").match(uri) == {"x": value}


def test_an_escaped_slash_stays_in_a_variable_in_the_middle() -> None:
    assert template("a://{x}/end").match("a://b%2Fc/end") == {"x": "b/c"}


@pytest.mark.parametrize(("escaped", "raw"), [("%FF", b"\xff"), ("x%C3", b"x\xc3"), ("%ED%A0%80", b"\xed\xa0\x80")])
def test_escapes_that_are_no_text_are_carried_as_the_standard_library_does(escaped: str, raw: bytes) -> None:
    assert template("a://{x}").match(f"a://{escaped}") == {"x": os.fsdecode(raw)}


@pytest.mark.parametrize(
    "uri_template",
    [
        "a://{x}/{x}",
        "a://{x",
        "a://x}",
        "a://{}",
        "a://{+x}",
        "a://{x*}",
        "a://{x,y}",
        "a://{a-b}",
        "{x}",
        "no-scheme/{x}",
    ],
)
def test_templates_that_cannot_be_matched_are_refused(uri_template: str) -> None:
    with pytest.raises(InvalidDefinition) as caught:
        template(uri_template)
    assert repr(uri_template) in caught.value.message


def test_variables_are_named_in_their_order() -> None:
    assert template("a://{second}/{first}").variables == ("second", "first")


def test_the_more_is_fixed_the_more_specific_a_template_is() -> None:
    ordered = ["a://{x}", "a://b/{x}", "a://b/{x}/c", "a://b/{a_very_long_name}/cd"]
    specificities = [template(shape).specificity for shape in ordered]
    assert specificities == sorted(set(specificities))


@pytest.mark.parametrize("uri", ["plain", "/path", "1a://b", "", " a://b"])
def test_a_resource_needs_a_scheme(uri: str) -> None:
    with pytest.raises(InvalidDefinition, match="scheme"):
        Resource(uri, "name", unread)


def test_the_uri_is_what_a_catalog_sorts_by() -> None:
    assert Resource("a://b", "name", unread).key == "a://b"
    assert template("a://{x}").key == "a://{x}"
