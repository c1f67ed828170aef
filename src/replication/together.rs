//! Small objects that are sent together, as one request to another node carries them: of each a line of JSON, and its bytes behind it.
//! Pure.
//!
//! Each is a PutObject of its own, with the headers that it would have by itself. So the node that gets them decides on each as if it had
//! come alone; what is saved is the way there.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::s3::headers::OBJECT_HEADERS;
use crate::s3::replica;

/// The route of a node that takes them.
pub const ROUTE: &str = "/_myfsio/replication/objects";
/// Most objects of one request.
pub const OBJECTS_MAX: usize = 64;
/// Most bytes of one object.
pub const OBJECT_BYTES_MAX: u64 = 64 * 1024;
/// Longest line of JSON, in bytes: a key, and as many headers as a request can have.
const HEAD_BYTES_MAX: usize = 64 * 1024;

/// Headers that an object may bring: what goes with it, and where it comes from. Nothing that says who asks, or how.
const LOCK_HEADERS: [&str; 3] =
    ["x-amz-object-lock-legal-hold", "x-amz-object-lock-mode", "x-amz-object-lock-retain-until-date"];
const PREFIXES: [&str; 2] = ["x-amz-checksum-", "x-amz-meta-"];

/// What stands in front of an object's bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Head {
    /// Its key.
    pub key: String,
    /// Its size in bytes.
    pub size: u64,
    /// Headers of its request.
    pub headers: Vec<(String, String)>,
}

/// What became of one of them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Outcome {
    /// HTTP status.
    pub status: u16,
    /// The ETag.
    pub etag: Option<String>,
    /// What became of the change.
    pub applied: Option<String>,
    /// How it is encrypted there.
    pub encryption: Option<String>,
    /// S3 error code of a refusal.
    pub code: Option<String>,
    /// What is said of it.
    pub message: Option<String>,
}

/// Adds an object to a body.
pub fn push(body: &mut Vec<u8>, head: &Head, bytes: &[u8]) {
    // Texts and numbers always serialise.
    body.extend(serde_json::to_vec(head).unwrap_or_default());
    body.push(b'\n');
    body.extend_from_slice(bytes);
}

/// Reads a body. Errs: why it is none.
pub fn parse(body: &Bytes) -> Result<Vec<(Head, Bytes)>, String> {
    let (mut objects, mut rest) = (Vec::new(), body.clone());
    while !rest.is_empty() {
        if objects.len() == OBJECTS_MAX {
            return Err(format!("more than {OBJECTS_MAX} objects"));
        }
        let line = rest.iter().take(HEAD_BYTES_MAX).position(|byte| *byte == b'\n').ok_or("a line does not end")?;
        let head: Head = serde_json::from_slice(&rest.split_to(line)).map_err(|error| error.to_string())?;
        let _newline = rest.split_to(1);
        if let Some((name, _)) = head.headers.iter().find(|(name, _)| !is_taken(name)) {
            return Err(format!("the header {name:?} is none of an object"));
        }
        let size = usize::try_from(head.size).ok().filter(|size| head.size <= OBJECT_BYTES_MAX && *size <= rest.len());
        let bytes = rest.split_to(size.ok_or("the bytes of an object are missing, or too many")?);
        objects.push((head, bytes));
    }
    Ok(objects)
}

fn is_taken(name: &str) -> bool {
    OBJECT_HEADERS.contains(&name)
        || LOCK_HEADERS.contains(&name)
        || replica::HEADERS.contains(&name)
        || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    prop_compose! {
        fn any_object()(
            key in "\\PC{1,12}", bytes in prop::collection::vec(any::<u8>(), 0..99),
            headers in prop::collection::vec(("x-amz-meta-[a-z]{1,5}", "\\PC{0,9}"), 0..4),
        ) -> (Head, Bytes) {
            (Head { key, size: bytes.len() as u64, headers }, Bytes::from(bytes))
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(objects in prop::collection::vec(any_object(), 0..9)) {
            let mut body = Vec::new();
            objects.iter().for_each(|(head, bytes)| push(&mut body, head, bytes));
            prop_assert_eq!(parse(&Bytes::from(body)).unwrap(), objects);
        }

        #[test]
        fn whatever_comes_is_read_or_refused(body in prop::collection::vec(any::<u8>(), 0..200)) {
            let _either = parse(&Bytes::from(body));
        }
    }

    #[test]
    fn what_is_refused() {
        let of = |head: &str, bytes: &str| parse(&Bytes::from(format!("{head}\n{bytes}")));
        assert_eq!(of(r#"{"key":"a","size":2,"headers":[["expires","x"]]}"#, "ab").unwrap().len(), 1);
        for (head, bytes) in [
            ("", ""),
            (r#"{"key":"a","size":3,"headers":[]}"#, "ab"),
            (r#"{"key":"a","size":1,"headers":[]}"#, "ab"),
            (r#"{"key":"a","size":2,"headers":[],"method":"DELETE"}"#, "ab"),
            (r#"{"key":"a","size":2,"headers":[["x-access-key","root"]]}"#, "ab"),
            (r#"{"key":"a","size":2,"headers":[["x-amz-copy-source","b/k"]]}"#, "ab"),
            (r#"{"key":"a","size":2,"headers":[["authorization",""]]}"#, "ab"),
            (r#"{"key":"a","size":2,"headers":[["Host","a"]]}"#, "ab"),
            (r#"{"key":"a","size":2,"headers":[["x-myfsio-tls","1.3 x"]]}"#, "ab"),
        ] {
            assert!(of(head, bytes).is_err(), "{head}");
        }
        let mut body = Vec::new();
        for _ in 0..=OBJECTS_MAX {
            push(&mut body, &Head { key: "a".to_owned(), size: 0, headers: Vec::new() }, b"");
        }
        assert!(parse(&Bytes::from(body)).is_err());
    }
}
