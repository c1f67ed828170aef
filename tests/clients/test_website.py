"""Websites: their documents, and what visitors see through hosts and the port of websites."""

import json

import pytest
from node import free_port
from util import refused, send, signed

DOMAIN = "web.test"


@pytest.fixture(scope="module")
def web():
    """A node with both ways to its websites."""
    import node as nodes

    port = free_port()
    running = nodes.Node(WEBSITE_PORT=port, WEBSITE_DOMAINS=DOMAIN)
    running.website = f"http://127.0.0.1:{port}"
    try:
        yield running.start()
        running.stop()
    finally:
        running.close()


@pytest.fixture(scope="module")
def s3w(web):
    return web.client()


def public(s3, bucket, *actions):
    statements = [
        {"Effect": "Allow", "Principal": "*", "Action": action,
         "Resource": f"arn:aws:s3:::{bucket}" + ("" if action == "s3:ListBucket" else "/*")}
        for action in actions
    ]
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": statements}))


def make_site(s3, bucket, configuration, actions=("s3:GetObject", "s3:ListBucket"), **objects):
    s3.create_bucket(Bucket=bucket)
    for key, body in {"index.html": "home", "photos/index.html": "photos", "error.html": "sorry", **objects}.items():
        s3.put_object(Bucket=bucket, Key=key, Body=body, ContentType="text/html")
    s3.put_bucket_website(Bucket=bucket, WebsiteConfiguration=configuration)
    if actions:
        public(s3, bucket, *actions)
    return bucket


INDEX = {"IndexDocument": {"Suffix": "index.html"}}
ERROR = {**INDEX, "ErrorDocument": {"Key": "error.html"}}


def visit(web, bucket, path="/", method="GET", **headers):
    """A visit by host name, through the port of the API."""
    return send(web.endpoint, method, path, headers={"Host": f"{bucket}.{DOMAIN}", **headers})


def test_documents(s3, bucket):
    with refused(404, "NoSuchWebsiteConfiguration"):
        s3.get_bucket_website(Bucket=bucket)
    rules = [{"Condition": {"KeyPrefixEquals": "docs/", "HttpErrorCodeReturnedEquals": "404"},
              "Redirect": {"HostName": "a.example", "Protocol": "https", "ReplaceKeyPrefixWith": "d/", "HttpRedirectCode": "302"}}]
    configuration = {**ERROR, "RoutingRules": rules}
    s3.put_bucket_website(Bucket=bucket, WebsiteConfiguration=configuration)
    got = s3.get_bucket_website(Bucket=bucket)
    assert {k: got[k] for k in configuration} == configuration
    everything = {"RedirectAllRequestsTo": {"HostName": "b.example", "Protocol": "https"}}
    s3.put_bucket_website(Bucket=bucket, WebsiteConfiguration=everything)
    got = s3.get_bucket_website(Bucket=bucket)
    assert got["RedirectAllRequestsTo"] == everything["RedirectAllRequestsTo"] and "IndexDocument" not in got
    assert s3.delete_bucket_website(Bucket=bucket)["ResponseMetadata"]["HTTPStatusCode"] == 204
    with refused(404, "NoSuchWebsiteConfiguration"):
        s3.get_bucket_website(Bucket=bucket)


def test_documents_are_checked(s3, bucket):
    redirect = {"Redirect": {"HostName": "a.example"}}
    for configuration, code in (
        ({}, "InvalidArgument"),
        ({"IndexDocument": {"Suffix": "a/b"}}, "InvalidArgument"),
        ({**INDEX, "RedirectAllRequestsTo": {"HostName": "a"}}, "InvalidArgument"),
        ({"RedirectAllRequestsTo": {"HostName": "a", "Protocol": "ftp"}}, "InvalidRequest"),
        ({**INDEX, "RoutingRules": [{**redirect, "Condition": {}}]}, "InvalidRequest"),
        ({**INDEX, "RoutingRules": [{**redirect, "Condition": {"HttpErrorCodeReturnedEquals": "200"}}]}, "InvalidRequest"),
        ({**INDEX, "RoutingRules": [{"Redirect": {"HttpRedirectCode": "200"}}]}, "InvalidRequest"),
        ({**INDEX, "RoutingRules": [{"Redirect": {"ReplaceKeyWith": "a", "ReplaceKeyPrefixWith": "b"}}]}, "InvalidRequest"),
        ({**INDEX, "RoutingRules": [redirect] * 51}, "InvalidRequest"),
        ({**INDEX, "RoutingRules": [{"Redirect": {}}]}, "MalformedXML"),
    ):
        with refused(400, code):
            s3.put_bucket_website(Bucket=bucket, WebsiteConfiguration=configuration)


def test_index_documents(web, s3w):
    site = make_site(s3w, "site-index", INDEX)
    status, headers, body = visit(web, site)
    assert (status, body, headers["content-type"]) == (200, b"home", "text/html")
    assert visit(web, site, "/photos/")[2] == b"photos"
    status, headers, body = visit(web, site, "/photos")
    assert (status, headers["location"], body) == (302, "/photos/", b"")
    status, headers, body = visit(web, site, "/", "HEAD")
    assert (status, headers["content-length"], body) == (200, "4", b"")
    # What the API would read from query and headers means nothing here.
    assert visit(web, site, "/?acl&versionId=x", **{"Authorization": "AWS x:y", "x-amz-checksum-mode": "ENABLED"})[2] == b"home"


def test_ranges_and_conditions(web, s3w):
    site = make_site(s3w, "site-ranges", ERROR)
    status, headers, body = visit(web, site, "/", Range="bytes=1-2")
    assert (status, body, headers["content-range"]) == (206, b"om", "bytes 1-2/4")
    etag = visit(web, site)[1]["etag"]
    assert visit(web, site, "/", **{"If-None-Match": etag})[0] == 304
    status, headers, body = visit(web, site, "/", **{"If-Match": '"x"'})
    assert (status, headers["x-amz-error-code"]) == (412, "PreconditionFailed") and b"<h1>412 Precondition Failed</h1>" in body
    # The range is not of the error document.
    assert visit(web, site, "/absent", Range="bytes=1-2")[::2] == (404, b"sorry")


def test_error_pages(web, s3w):
    site = make_site(s3w, "site-errors", INDEX)
    status, headers, body = visit(web, site, "/a%3Cb%3E")
    page = body.decode()
    assert status == 404 and headers["content-type"] == "text/html; charset=utf-8"
    for line in ("<title>404 Not Found</title>", "<li>Code: NoSuchKey</li>", "<li>Message: The specified key does not exist.</li>",
                 "<li>Key: a&lt;b&gt;</li>", f"<li>RequestId: {headers['x-amz-request-id']}</li>", f"<li>HostId: {headers['x-amz-id-2']}</li>"):
        assert line in page, line
    assert headers["x-amz-error-code"] == "NoSuchKey" and headers["x-amz-error-detail-key"] == "a%3Cb%3E"
    status, headers, body = visit(web, site, "/absent", "HEAD")
    assert (status, body) == (404, b"") and headers["x-amz-error-code"] == "NoSuchKey"
    status, headers, body = visit(web, site, "/", "POST")
    assert (status, headers["allow"]) == (405, "GET, HEAD, OPTIONS") and b"<li>Code: MethodNotAllowed</li>" in body
    status, _, body = visit(web, "no-such-site")
    assert status == 404 and b"<li>Code: NoSuchBucket</li>" in body
    s3w.create_bucket(Bucket="site-none")
    status, _, body = visit(web, "site-none")
    assert status == 404 and b"<li>Code: NoSuchWebsiteConfiguration</li>" in body


def test_error_documents(web, s3w):
    site = make_site(s3w, "site-error-document", ERROR)
    status, headers, body = visit(web, site, "/absent")
    assert (status, body, headers["x-amz-error-code"]) == (404, b"sorry", "NoSuchKey")
    s3w.delete_object(Bucket=site, Key="error.html")
    status, _, body = visit(web, site, "/absent")
    assert status == 404 and b"<h3>An Error Occurred While Attempting to Retrieve a Custom Error Document</h3>" in body
    assert body.count(b"<li>Code: NoSuchKey</li>") == 2 and b"<li>Key: error.html</li>" in body


def test_permissions(web, s3w):
    site = make_site(s3w, "site-private", INDEX, actions=())
    status, headers, body = visit(web, site)
    assert (status, headers["x-amz-error-code"]) == (403, "AccessDenied") and b"<h1>403 Forbidden</h1>" in body
    public(s3w, site, "s3:GetObject")
    assert visit(web, site)[2] == b"home"
    assert visit(web, site, "/photos")[0] == 302
    # Who may not list learns of no missing key.
    assert visit(web, site, "/absent")[0] == 403


def test_redirects_of_everything(web, s3w):
    site = make_site(s3w, "site-moved", {"RedirectAllRequestsTo": {"HostName": "new.example", "Protocol": "https"}}, actions=())
    status, headers, body = visit(web, site, "/a%20b/c?d=e&f")
    assert (status, headers["location"], body) == (301, "https://new.example/a%20b/c?d=e&f", b"")


def test_routing_rules(web, s3w):
    rules = [
        {"Condition": {"KeyPrefixEquals": "docs/"}, "Redirect": {"ReplaceKeyPrefixWith": "documents/"}},
        {"Condition": {"KeyPrefixEquals": "old"}, "Redirect": {"HostName": "old.example", "ReplaceKeyWith": "a b", "HttpRedirectCode": "307"}},
        {"Condition": {"KeyPrefixEquals": "lost/", "HttpErrorCodeReturnedEquals": "404"}, "Redirect": {"Protocol": "https", "ReplaceKeyPrefixWith": "report/"}},
    ]
    site = make_site(s3w, "site-rules", {**ERROR, "RoutingRules": rules}, **{"lost/found": "found"})
    where = lambda path: (lambda reply: (reply[0], reply[1].get("location")))(visit(web, site, path))
    assert where("/docs/x%20y") == (301, "/documents/x%20y")
    assert where("/older") == (307, "http://old.example/a%20b")
    assert where("/lost/x") == (301, f"https://{site}.{DOMAIN}/report/x")
    assert visit(web, site, "/lost/found")[2] == b"found"
    assert visit(web, site, "/gone")[::2] == (404, b"sorry")


def test_redirects_of_objects(web, s3w):
    site = make_site(s3w, "site-objects", INDEX)
    s3w.put_object(Bucket=site, Key="away", Body=b"", WebsiteRedirectLocation="https://a.example/x")
    s3w.put_object(Bucket=site, Key="near", Body=b"", WebsiteRedirectLocation="/photos/")
    for method in ("GET", "HEAD"):
        assert visit(web, site, "/away", method)[1]["location"] == "https://a.example/x"
        status, headers, _ = visit(web, site, "/near", method)
        assert (status, headers["location"]) == (301, "/photos/")
    # Through the API it is an object like any other.
    status, headers, _ = signed(web, "GET", f"/{site}/away")
    assert (status, headers["x-amz-website-redirect-location"]) == (200, "https://a.example/x")


def test_the_port_of_websites(web, s3w):
    site = make_site(s3w, "www.site.example", ERROR)
    ask = lambda path, host=None: send(web.website, "GET", path, headers={"Host": host} if host else {})
    assert ask("/photos/", "www.site.example:80")[2] == b"photos"
    assert ask("/photos/", f"{site}.{DOMAIN}")[2] == b"photos"
    assert ask(f"/{site}/photos/")[2] == b"photos"
    assert ask(f"/{site}")[2] == b"home"
    assert ask(f"/{site}/photos")[1]["location"] == f"/{site}/photos/"
    assert ask(f"/{site}/absent")[::2] == (404, b"sorry")
    s3w.put_object(Bucket=site, Key="near", Body=b"", WebsiteRedirectLocation="/photos/")
    assert ask(f"/{site}/near")[1]["location"] == f"/{site}/photos/"
    status, headers, _ = ask("/")
    assert (status, headers["x-amz-error-code"]) == (404, "NoSuchBucket")
    # There is nothing else behind this door.
    assert ask("/healthz")[0] == 404
    status, _, body = send(web.website, "PUT", f"/{site}/k", b"x")
    assert status == 405 and b"MethodNotAllowed" in body


def test_cross_origin(web, s3w):
    site = make_site(s3w, "site-cors", INDEX)
    s3w.put_bucket_cors(Bucket=site, CORSConfiguration={"CORSRules": [{"AllowedOrigins": ["http://a.example"], "AllowedMethods": ["GET"]}]})
    assert visit(web, site, "/", Origin="http://a.example")[1]["access-control-allow-origin"] == "http://a.example"
    status, headers, _ = visit(web, site, "/x", "OPTIONS", Origin="http://a.example", **{"Access-Control-Request-Method": "GET"})
    assert (status, headers["access-control-allow-methods"]) == (200, "GET")
    status, headers, _ = visit(web, site, "/x", "OPTIONS", Origin="http://b.example", **{"Access-Control-Request-Method": "GET"})
    assert (status, headers["content-type"]) == (403, "text/html; charset=utf-8")


def test_requesters_cannot_pay_on_a_website(web, s3w):
    site = make_site(s3w, "site-paid", INDEX)
    s3w.put_bucket_request_payment(Bucket=site, RequestPaymentConfiguration={"Payer": "Requester"})
    assert visit(web, site, "/", **{"x-amz-request-payer": "requester"})[0] == 403
