//! POST upload forms: the published example, and forms as ceph/s3-tests signs them.

use base64::Engine as _;

use super::*;

/// The example of "Browser-Based Upload using HTTP POST (Using AWS Signature Version 4)".
#[test]
fn the_published_form() {
    const POLICY: &str = concat!(
        "eyAiZXhwaXJhdGlvbiI6ICIyMDE1LTEyLTMwVDEyOjAwOjAwLjAwMFoiLA0KICAiY29uZGl0aW9ucyI6IFsNCiAgICB7ImJ1Y2tldCI6ICJz",
        "aWd2NGV4YW1wbGVidWNrZXQifSwNCiAgICBbInN0YXJ0cy13aXRoIiwgIiRrZXkiLCAidXNlci91c2VyMS8iXSwNCiAgICB7ImFjbCI6ICJw",
        "dWJsaWMtcmVhZCJ9LA0KICAgIHsic3VjY2Vzc19hY3Rpb25fcmVkaXJlY3QiOiAiaHR0cDovL3NpZ3Y0ZXhhbXBsZWJ1Y2tldC5zMy5hbWF6",
        "b25hd3MuY29tL3N1Y2Nlc3NmdWxfdXBsb2FkLmh0bWwifSwNCiAgICBbInN0YXJ0cy13aXRoIiwgIiRDb250ZW50LVR5cGUiLCAiaW1hZ2Uv",
        "Il0sDQogICAgeyJ4LWFtei1tZXRhLXV1aWQiOiAiMTQzNjUxMjM2NTEyNzQifSwNCiAgICB7IngtYW16LXNlcnZlci1zaWRlLWVuY3J5cHRp",
        "b24iOiAiQUVTMjU2In0sDQogICAgWyJzdGFydHMtd2l0aCIsICIkeC1hbXotbWV0YS10YWciLCAiIl0sDQoNCiAgICB7IngtYW16LWNyZWRl",
        "bnRpYWwiOiAiQUtJQUlPU0ZPRE5ON0VYQU1QTEUvMjAxNTEyMjkvdXMtZWFzdC0xL3MzL2F3czRfcmVxdWVzdCJ9LA0KICAgIHsieC1hbXot",
        "YWxnb3JpdGhtIjogIkFXUzQtSE1BQy1TSEEyNTYifSwNCiAgICB7IngtYW16LWRhdGUiOiAiMjAxNTEyMjlUMDAwMDAwWiIgfQ0KICBdDQp9"
    );
    let mut fields: Vec<(String, String)> = [
        ("key", "user/user1/${filename}"),
        ("acl", "public-read"),
        ("success_action_redirect", "http://sigv4examplebucket.s3.amazonaws.com/successful_upload.html"),
        ("Content-Type", "image/jpeg"),
        ("x-amz-meta-uuid", "14365123651274"),
        ("x-amz-server-side-encryption", "AES256"),
        ("X-Amz-Credential", "AKIAIOSFODNN7EXAMPLE/20151229/us-east-1/s3/aws4_request"),
        ("X-Amz-Algorithm", "AWS4-HMAC-SHA256"),
        ("X-Amz-Date", "20151229T000000Z"),
        ("x-amz-meta-tag", ""),
        ("Policy", POLICY),
        ("X-Amz-Signature", "8afdbf4008c03f22c2cd3cdb72e4afbb1f6a588f3255ac628749a66d7f09699e"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec();
    post_policy::substitute_filename(&mut fields, "cat.jpg");
    let request = Request::new("POST", "/", "", &[("host", "sigv4examplebucket.s3.amazonaws.com")]);
    let now = Stamp(AmzDate::parse("20151230T115959Z").unwrap().seconds.unsigned_abs() * 1_000_000_000);
    let run = |fields: &[(String, String)], bucket: &str| {
        let keys = Keys::default();
        let head = request.head();
        let form = authenticate_form(&head, fields, bucket, &request.settings, &keys, now);
        done(form).map(|form| form.authenticated.mechanism).map_err(|error| error.code())
    };
    assert_eq!(run(&fields, "sigv4examplebucket"), Ok(Mechanism::PostForm));
    assert_eq!(run(&fields, "another"), Err(ErrorCode::AccessDenied));
    fields.last_mut().unwrap().1.replace_range(..1, "9");
    assert_eq!(run(&fields, "sigv4examplebucket"), Err(ErrorCode::SignatureDoesNotMatch));
    fields.pop();
    assert_eq!(run(&fields, "sigv4examplebucket"), Err(ErrorCode::InvalidArgument));
    fields.pop();
    fields.retain(|(name, _)| !name.starts_with("X-Amz"));
    assert_eq!(run(&fields, "sigv4examplebucket"), Ok(Mechanism::Anonymous));
    fields.retain(|(name, _)| name != "key");
    assert_eq!(run(&fields, "sigv4examplebucket"), Err(ErrorCode::InvalidArgument));
}

#[test]
fn version_2_forms() {
    // The signature was made with Python's hmac and base64 modules, as ceph/s3-tests makes it.
    let json =
        r#"{"expiration": "2013-05-25T00:00:00Z", "conditions": [{"bucket": "b"}, ["starts-with", "$key", ""]]}"#;
    let policy = base64::engine::general_purpose::STANDARD.encode(json);
    let form = |signature: Option<&str>| {
        let mut fields = vec![
            ("key".to_owned(), "a".to_owned()),
            ("AWSAccessKeyId".to_owned(), ID.to_owned()),
            ("policy".to_owned(), policy.clone()),
        ];
        fields.extend(signature.map(|signature| ("signature".to_owned(), signature.to_owned())));
        let request = Request::new("POST", "/b", "", &[("host", HOST)]);
        let keys = Keys::default();
        let form = done(authenticate_form(&request.head(), &fields, "b", &request.settings, &keys, NOW));
        form.map(|form| form.authenticated.mechanism).map_err(|error| error.code())
    };
    assert_eq!(form(Some("D/v3OSY01xHwFkAshyPGxCp196M=")), Ok(Mechanism::PostForm));
    assert_eq!(form(Some("AAAAAAAAAAAAAAAAAAAAAAAAAAA=")), Err(ErrorCode::SignatureDoesNotMatch));
    assert_eq!(form(None), Err(ErrorCode::InvalidArgument));
}

/// The form of botocore 1.43's `generate_presigned_post`.
#[test]
fn a_form_of_botocore() {
    let mut fields = [
        ("key", "up/${filename}"),
        ("x-amz-algorithm", "AWS4-HMAC-SHA256"),
        ("x-amz-credential", "AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request"),
        ("x-amz-date", "20130524T000000Z"),
        (
            "policy",
            concat!(
                "eyJleHBpcmF0aW9uIjogIjIwMTMtMDUtMjRUMDE6MDA6MDBaIiwgImNvbmRpdGlvbnMiOiBbWyJjb250ZW50LWxlbmd0aC1yYW5n",
                "ZSIsIDEsIDEwXSwgeyJidWNrZXQiOiAiYnVja2V0In0sIFsic3RhcnRzLXdpdGgiLCAiJGtleSIsICJ1cC8iXSwgeyJ4LWFtei1h",
                "bGdvcml0aG0iOiAiQVdTNC1ITUFDLVNIQTI1NiJ9LCB7IngtYW16LWNyZWRlbnRpYWwiOiAiQUtJQUlPU0ZPRE5ON0VYQU1QTEUv",
                "MjAxMzA1MjQvdXMtZWFzdC0xL3MzL2F3czRfcmVxdWVzdCJ9LCB7IngtYW16LWRhdGUiOiAiMjAxMzA1MjRUMDAwMDAwWiJ9XX0=",
            ),
        ),
        ("x-amz-signature", "1c60860362e96b9bf434a8cca5df70412b0687b29cb06fbfc21284c4283ccddf"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()));
    post_policy::substitute_filename(&mut fields, "a.txt");
    let request = Request::new("POST", "/bucket", "", &[("host", HOST)]);
    let keys = Keys::default();
    let form = done(authenticate_form(&request.head(), &fields, "bucket", &request.settings, &keys, NOW)).unwrap();
    let policy = form.policy.unwrap();
    assert_eq!(policy.size_max(), 10);
    assert!(policy.check_size(1).is_ok());
    assert_eq!(policy.check_size(0).unwrap_err().code(), ErrorCode::EntityTooSmall);
}
