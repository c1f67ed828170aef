//! Each mechanism and each refusal; forwarded hosts and hints.

use proptest::prelude::*;

use super::*;

#[test]
fn every_change_of_a_signed_part_is_noticed() {
    let signed = Request::new("GET", "/b/k", "prefix=a&acl", &[("host", HOST)]).sign();
    assert!(signed.run().is_ok());
    type Change = fn(&mut Request);
    let changes: [Change; 6] = [
        |r| r.method = "DELETE",
        |r| r.path = "/b/k2".into(),
        |r| r.query = "prefix=b&acl".into(),
        |r| r.query.push_str("&x=1"),
        |r| r.set("host", "other"),
        |r| r.set("x-amz-content-sha256", "UNSIGNED-PAYLOAD"),
    ];
    for change in changes {
        let mut request = signed.clone();
        change(&mut request);
        let error = request.run().unwrap_err();
        assert_eq!(error.code(), ErrorCode::SignatureDoesNotMatch);
        let names: Vec<&str> = error.fields().iter().map(|(name, _)| *name).take(6).collect();
        let expected = [
            "AWSAccessKeyId",
            "StringToSign",
            "SignatureProvided",
            "StringToSignBytes",
            "CanonicalRequest",
            "CanonicalRequestBytes",
        ];
        assert_eq!(names, expected);
    }
}

#[test]
fn header_refusals() {
    let base = Request::new("PUT", "/b/k", "", &[("host", HOST)]).sign();
    let text = base.head().header("authorization").unwrap().to_owned();
    let with = |value: &str| {
        let mut request = base.clone();
        request.set("authorization", value);
        request
    };
    use ErrorCode as E;
    for (value, code) in [
        (text.replace("us-east-1", "eu-west-1"), E::AuthorizationHeaderMalformed),
        (text.replace("/s3/", "/iam/"), E::AuthorizationHeaderMalformed),
        (text.replace("20130524", "20130523"), E::AuthorizationHeaderMalformed),
        (text.replace("aws4_request", "aws4"), E::AuthorizationHeaderMalformed),
        (text.replace("Signature=", "Sig="), E::AuthorizationHeaderMalformed),
        (format!("{text}, Signature=1"), E::AuthorizationHeaderMalformed),
        (text.replace(ID, "AKIAOTHER"), E::InvalidAccessKeyId),
        (text.replace(ID, "A/B"), E::InvalidAccessKeyId),
        (text.replace("host;", ""), E::AccessDenied),
        (text.replace(";x-amz-date", ""), E::AccessDenied),
        (text.replace("AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256"), E::InvalidRequest),
        ("Basic YTpi".to_owned(), E::InvalidArgument),
        ("AWS4-HMAC-SHA256".to_owned(), E::AuthorizationHeaderMalformed),
    ] {
        assert_eq!(with(&value).code(), code, "{value}");
    }
    let region = with(&text.replace("us-east-1", "eu-west-1")).run().unwrap_err();
    assert!(region.fields().contains(&("Region", "us-east-1".to_owned())));
    let unsigned = with(&text.replace(";x-amz-date", "")).run().unwrap_err();
    assert!(unsigned.fields().contains(&("HeadersNotSigned", "x-amz-date".to_owned())));
    assert_eq!(with("").run().unwrap().mechanism, Mechanism::Anonymous);
}

#[test]
fn header_value_refusals() {
    let base = Request::new("PUT", "/b/k", "", &[("host", HOST)]);
    let with = |name: &'static str, value: &str| {
        let mut request = base.clone();
        request.set(name, value);
        request.sign()
    };
    use ErrorCode as E;
    assert_eq!(with("x-amz-security-token", "t").code(), E::InvalidToken);
    assert_eq!(with("x-amz-content-sha256", "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD").code(), E::NotImplemented);
    assert_eq!(with("x-amz-content-sha256", "abc").code(), E::InvalidArgument);
    assert!(with("x-amz-content-sha256", "UNSIGNED-PAYLOAD").run().is_ok());
    let mut request = base.clone().sign();
    request.headers.remove("x-amz-content-sha256");
    assert_eq!(request.code(), E::InvalidRequest);
    let mut request = base.clone().sign();
    request.set("x-amz-date", "yesterday");
    assert_eq!(request.code(), E::AccessDenied);
    let mut request = base.clone().sign();
    request.now = Stamp(NOW.0 + 901 * 1_000_000_000);
    let error = request.run().unwrap_err();
    assert_eq!(error.code(), E::RequestTimeTooSkewed);
    let fields = [
        ("RequestTime", DATE.to_owned()),
        ("ServerTime", "2013-05-24T00:15:01Z".to_owned()),
        ("MaxAllowedSkewMilliseconds", "900000".to_owned()),
    ];
    assert_eq!(error.fields(), fields);
    request.now = Stamp(NOW.0 + 900 * 1_000_000_000);
    assert!(request.run().is_ok());
}

#[test]
fn query_refusals() {
    use ErrorCode as E;
    let base = Request::new("GET", "/b/k", "", &[("host", HOST)]);
    for (expires, code) in [
        ("0", Some(E::AccessDenied)),
        ("-7", Some(E::AccessDenied)),
        ("604801", Some(E::AccessDenied)),
        ("soon", Some(E::AuthorizationQueryParametersError)),
        ("604800", None),
        ("1", None),
    ] {
        assert_eq!(base.clone().presign(expires).run().map_err(|e| e.code()).err(), code, "{expires}");
    }
    for (from, to, code) in [
        ("us-east-1", "eu-west-1", E::AuthorizationQueryParametersError),
        ("%2Fs3%2F", "%2Fkms%2F", E::AuthorizationQueryParametersError),
        ("X-Amz-Date=2013", "X-Amz-Date=2014", E::AuthorizationQueryParametersError),
        ("&X-Amz-Expires=60", "", E::AuthorizationQueryParametersError),
        ("&X-Amz-Expires=60", "&X-Amz-Expires=60&X-Amz-Expires=60", E::AuthorizationQueryParametersError),
        ("AWS4-HMAC-SHA256", "AWS4-HMAC-SHA1", E::AuthorizationQueryParametersError),
        ("SignedHeaders=host", "SignedHeaders=date", E::AccessDenied),
        (ID, "AKIAOTHER", E::InvalidAccessKeyId),
        ("X-Amz-Signature=", "X-Amz-Security-Token=t&X-Amz-Signature=", E::InvalidToken),
        ("X-Amz-Expires=60", "X-Amz-Expires=61", E::SignatureDoesNotMatch),
    ] {
        let mut request = base.clone().presign("60");
        request.query = request.query.replacen(from, to, 1);
        assert_eq!(request.code(), code, "{to}");
    }
    let mut request = base.clone().presign("60");
    request.set("x-amz-acl", "public-read");
    assert_eq!(request.code(), E::AccessDenied);
    let mut request = base.clone().presign("60");
    request.set("x-amz-content-sha256", "UNSIGNED-PAYLOAD");
    assert!(request.run().is_ok());
    request.set("x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER");
    assert!(matches!(request.run().unwrap().payload, PayloadSigning::StreamingUnsignedTrailer));
}

#[test]
fn one_mechanism_only() {
    let pair = [("host", HOST), ("x-access-key", ID), ("x-secret-key", SECRET)];
    let header = Request::new("GET", "/", "", &pair).sign();
    assert_eq!(header.code(), ErrorCode::InvalidArgument);
    let query = Request::new("GET", "/", "", &pair).presign("60");
    assert_eq!(query.code(), ErrorCode::InvalidArgument);
    let mut both = Request::new("GET", "/", "", &[("host", HOST)]).presign("60");
    both.set("authorization", "AWS4-HMAC-SHA256 Credential=a");
    assert_eq!(both.code(), ErrorCode::InvalidArgument);
    let version_2 = Request::new("GET", "/", "AWSAccessKeyId=a&Expires=1&Signature=b", &[("host", HOST)]);
    assert_eq!(version_2.sign().code(), ErrorCode::InvalidArgument);
}

#[test]
fn a_header_that_stands_for_a_parameter_says_nothing_else() {
    let signed = Request::new("PUT", "/b/k", "x-amz-meta-a=1&x-amz-meta-e=", &[("host", HOST)]).presign("60");
    let with = |pairs: &[(&'static str, &[u8])]| {
        let mut request = signed.clone();
        for (name, value) in pairs {
            request.headers.append(HeaderName::from_static(name), HeaderValue::from_bytes(value).unwrap());
        }
        request
    };
    assert!(with(&[("x-amz-meta-a", b"1"), ("x-amz-meta-e", b"")]).run().is_ok());
    for pairs in [
        &[("x-amz-meta-a", &b"2"[..])][..],
        &[("x-amz-meta-a", b"1"), ("x-amz-meta-a", b"2")],
        &[("x-amz-meta-e", b"\xe9")],
        &[("x-amz-meta-b", b"1")],
    ] {
        assert_eq!(with(pairs).code(), ErrorCode::AccessDenied, "{pairs:?}");
    }
}

#[test]
fn the_header_pair() {
    let pair = |secret: &str| {
        Request::new("GET", "/", "", &[("host", "localhost"), ("x-access-key", ID), ("x-secret-key", secret)])
    };
    let authenticated = pair(SECRET).run().unwrap();
    assert_eq!(authenticated.mechanism, Mechanism::HeaderPair);
    assert!(authenticated.principal.is_some());
    assert_eq!(pair("wrong").code(), ErrorCode::AccessDenied);
    let half = Request::new("GET", "/", "", &[("host", HOST), ("x-access-key", ID)]);
    assert_eq!(half.code(), ErrorCode::AccessDenied);
    let locked = Keys { fails: Some(CredentialError::LockedOut { until: NOW }), ..Keys::default() };
    let error = pair(SECRET).run_with(&locked).unwrap_err();
    assert_eq!(error.code(), ErrorCode::TooManyLoginAttempts);
    let well_known = Keys { well_known: true, ..Keys::default() };
    assert!(pair(SECRET).run_with(&well_known).is_ok());
    let mut distant = pair(SECRET);
    distant.set("x-forwarded-for", "127.0.0.1");
    assert_eq!(distant.run_with(&well_known).unwrap_err().code(), ErrorCode::AccessDenied);
}

#[test]
fn requests_without_credentials() {
    let anonymous = Request::new("PUT", "/b/k", "", &[("host", HOST)]);
    let authenticated = anonymous.run().unwrap();
    assert!(authenticated.principal.is_none());
    assert!(matches!(authenticated.payload, PayloadSigning::Unsigned));
    let framed = [
        ("host", HOST),
        ("content-encoding", "gzip, aws-chunked"),
        ("x-amz-trailer", "x-amz-checksum-crc32"),
        ("x-amz-decoded-content-length", "5"),
    ];
    let framed = Request::new("PUT", "/b/k", "", &framed);
    assert!(matches!(framed.run().unwrap().payload, PayloadSigning::StreamingUnsignedTrailer));
    let signed = ("x-amz-content-sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD");
    let signed = Request::new("PUT", "/b/k", "", &[("host", HOST), signed]);
    assert_eq!(signed.code(), ErrorCode::InvalidRequest);
}

#[test]
fn forwarded_hosts_are_accepted_from_trusted_proxies() {
    let signed = Request::new("GET", "/b/k", "", &[("host", "s3.example.com")]).sign();
    let mut proxied = signed.clone();
    proxied.set("host", "10.0.0.5:5000");
    assert_eq!(proxied.hint(), "");
    proxied.set("x-forwarded-host", "s3.example.com");
    assert!(proxied.run().is_ok());
    proxied.peer = [8, 8, 8, 8];
    assert!(proxied.hint().contains("host \"s3.example.com\""), "{}", proxied.hint());
    proxied.headers.remove("x-forwarded-host");
    proxied.settings.api_base_url = Some("https://s3.example.com/".parse().unwrap());
    assert!(proxied.run().is_ok());
}

#[test]
fn a_host_is_believed_only_where_it_names_the_bucket_that_is_addressed() {
    // What is routed is the received host's; the signature may be for another one.
    for (signed_for, received, virtual_bucket, is_accepted) in [
        ("pub.s3.test", "payroll.s3.test", Some("payroll"), false),
        ("pub.s3.test", "127.0.0.1:5000", None, false),
        ("pub.s3.test", "s3.test", None, false),
        ("s3.test", "payroll.s3.test", Some("payroll"), false),
        ("127.0.0.1:5000", "payroll.s3.test", Some("payroll"), false),
        ("pub.s3.test", "PUB.S3.test:5000", Some("pub"), true),
        ("s3.test", "127.0.0.1:5000", None, true),
        ("other.test", "127.0.0.1:5000", None, true),
    ] {
        let mut sent = Request::new("GET", "/2026.csv", "", &[("host", signed_for)]).sign();
        sent.settings.base_domains = vec!["s3.test".to_owned()];
        sent.virtual_bucket = virtual_bucket;
        sent.set("host", received);
        assert!(sent.run().is_err(), "{signed_for} {received}");
        let mut told = sent.clone();
        told.set("x-forwarded-host", signed_for);
        assert_eq!(told.run().is_ok(), is_accepted, "{signed_for} {received}, by a proxy");
        sent.settings.api_base_url = Some(format!("https://{signed_for}/").parse().unwrap());
        assert_eq!(sent.run().is_ok(), is_accepted, "{signed_for} {received}, by API_BASE_URL");
    }
}

#[test]
fn hints_name_the_edit_of_a_proxy() {
    let signed =
        Request::new("GET", "/b/a%20b", "", &[("host", "example.com"), ("accept-encoding", "identity")]).sign();
    type Change = fn(&mut Request);
    let changes: [(Change, &str); 7] = [
        (|r| r.set("host", "example.com:443"), "host \"example.com\""),
        (|r| r.path = "/b/a%2520b".into(), "decoded once"),
        (|r| r.path = "/s3/b/a%20b".into(), "first segment \"s3\""),
        (|r| r.path = "/b/a%20b/".into(), "last slash"),
        (|r| r.set("accept-encoding", "gzip, br"), "accept-encoding"),
        (|r| r.path = "/b/%61%20b".into(), "encoded anew"),
        (
            |r| {
                r.set("host", "10.0.0.1");
                r.set("forwarded", "for=1.1.1.1;host=\"example.com\"");
                r.path.push('/');
            },
            "\"example.com\"",
        ),
    ];
    for (change, expected) in changes {
        let mut request = signed.clone();
        change(&mut request);
        assert!(request.hint().contains(expected), "{expected}: {}", request.hint());
    }
    let mut prefixed = Request::new("GET", "/files/b/k", "", &[("host", "example.com")]).sign();
    prefixed.path = "/b/k".into();
    assert_eq!(prefixed.hint(), "");
    prefixed.settings.api_base_url = Some("http://example.com/files".parse().unwrap());
    assert!(prefixed.hint().contains("prefix \"/files\""));
}

#[test]
fn unencoded_paths_are_accepted_in_either_form() {
    let encoded = Request::new("GET", "/b/a%21b%20", "", &[("host", HOST)]).sign();
    let mut sent_raw = encoded.clone();
    sent_raw.path = "/b/a!b%20".into();
    assert!(sent_raw.run().is_ok());
}

proptest! {
    #[test]
    fn what_is_signed_is_accepted(
        segments in proptest::collection::vec("[ -~é]{0,6}", 1..4),
        pairs in proptest::collection::vec(("[a-z-]{1,6}", "[ -~é]{0,6}"), 0..4),
        meta in "[!-~ ]{0,12}",
        presigned: bool,
    ) {
        let path = format!("/{}", encode(segments.join("/").as_bytes(), true));
        let query: Vec<String> = pairs.iter().map(|(n, v)| format!("{n}={}", encode(v.as_bytes(), false))).collect();
        let mut request = Request::new("PUT", &path, &query.join("&"), &[("host", HOST)]);
        if !presigned {
            request.set("x-amz-meta-a", &meta);
        }
        let request = if presigned { request.presign("60") } else { request.sign() };
        prop_assert!(request.run().is_ok());
    }

    #[test]
    fn nothing_that_a_client_sends_breaks_it(authorization in "\\PC{0,80}", query in "[ -~]{0,80}", date in "[ -~]{0,20}") {
        let mut request = Request::new("GET", "/", &query, &[("host", HOST)]);
        if let Ok(value) = HeaderValue::from_str(&authorization) {
            request.headers.insert(HeaderName::from_static("authorization"), value);
        }
        request.set("x-amz-date", &date);
        if let Ok(authenticated) = request.run() {
            prop_assert!(authenticated.principal.is_none());
        }
    }
}
