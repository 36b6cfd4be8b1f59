"""Where a request goes, as it may be shown."""

from urllib.parse import quote

import pytest

from ratchet.runtime.http_spans.address import address_of


@pytest.mark.parametrize(
    ("url", "host", "port", "origin"),
    [
        ("https://API.example.com/x", "api.example.com", 443, "api.example.com"),
        ("http://api.example.com:80/", "api.example.com", 80, "api.example.com"),
        ("http://api.example.com:8080/", "api.example.com", 8080, "api.example.com:8080"),
        ("https://ada:pw@[::1]:8443/", "::1", 8443, "[::1]:8443"),
        ("unknown://host/", "host", None, "host"),
    ],
)
def test_host_and_port_are_told_and_the_usual_port_is_left_out_of_the_name(
    url: str, host: str, port: int | None, origin: str
) -> None:
    found = address_of(url)
    assert (found.host, found.port, found.origin) == (host, port, origin)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://h/a%20b?q=x%20y&flag&n=", "https://h/a%20b?q=x%20y&flag&n="),
        ("https://h", "https://h/"),
        ("https://h/#access_token=hunter2", "https://h/"),
        ("https://ada:hunter2@h/", "https://h/"),
        ("https://hunter2@h/", "https://h/"),
        ("https://h/?password=hunter2&a=1&Api-Key=hunter2", "https://h/?password=[redacted]&a=1&Api-Key=[redacted]"),
        ("https://h/?key=hunter2&sig=hunter2", "https://h/?key=[redacted]&sig=[redacted]"),
        ("https://h/?X-Amz-Credential=hunter2", "https://h/?X-Amz-Credential=[redacted]"),
        ("https://h/?access%5Ftoken=hunter2", "https://h/?access%5Ftoken=[redacted]"),
        ("https://h/?max_tokens=10&page_token=x&keys=a", "https://h/?max_tokens=10&page_token=x&keys=a"),
        ("https://h/?filter=" + quote('{"password": "hunter2"}'), "https://h/?filter=[redacted]"),
        (f"https://h/?next={quote('https://i/?token=hunter2', safe='')}", "https://h/?next=[redacted]"),
        (f"https://h/?next={quote('https://ada:hunter2@i/', safe='')}", "https://h/?next=[redacted]"),
        (f"https://h/?next={quote('https://i/?page=2', safe='')}", "https://h/?next=https%3A%2F%2Fi%2F%3Fpage%3D2"),
    ],
)
def test_a_url_is_shown_without_secrets_and_otherwise_as_it_is(url: str, shown: str) -> None:
    assert address_of(url).url == shown


def test_a_long_url_is_cut() -> None:
    shown = address_of("https://h/?q=" + 10_000 * "a").url
    assert len(shown) == 2_000
    assert shown.endswith("…")


@pytest.mark.parametrize("url", ["http://[::1/", "http://h:99999/"])
def test_what_is_no_url_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"IPv6|[Pp]ort"):
        address_of(url)
