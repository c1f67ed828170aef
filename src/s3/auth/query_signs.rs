//! Which signatures the names of a query speak of, as far as that decides which of its parameters stand for headers.

use actix_web::http::header::HeaderMap;

use super::{presigned, sigv2};
use crate::s3::request_head::query_names;

/// What a query has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct QuerySigns {
    /// A parameter of Signature Version 2.
    pub version_2: bool,
    /// The very signature of Version 4.
    pub signature_4: bool,
    /// A parameter that does not belong to a signature of Version 4.
    pub others: bool,
}

impl QuerySigns {
    /// Looks at the decoded names: whoever bears a URL could hide a signature in other spellings.
    pub fn of(query: &str) -> Self {
        let mut signs = Self::default();
        for name in query_names(query) {
            match &*name {
                "AWSAccessKeyId" | "Signature" => (signs.version_2, signs.others) = (true, true),
                "X-Amz-Signature" => signs.signature_4 = true,
                "X-Amz-Algorithm" | "X-Amz-Credential" | "X-Amz-Date" | "X-Amz-Expires" | "X-Amz-SignedHeaders" => {}
                other => signs.others |= !presigned::is_own_parameter(other),
            }
        }
        signs
    }
}

/// Makes headers of what signers put into the query in their place, for authentication and handlers alike.
pub fn adopt_headers(query: &str, headers: &mut HeaderMap) {
    let signs = QuerySigns::of(query);
    sigv2::adopt_headers(query, signs, headers);
    presigned::adopt_headers(query, signs, headers);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_decoded_and_have_their_case() {
        let signs = |query| {
            let QuerySigns { version_2, signature_4, others } = QuerySigns::of(query);
            [version_2, signature_4, others]
        };
        for (query, found) in [
            ("", [false; 3]),
            ("acl&x=X-Amz-Signature", [false, false, true]),
            ("X-Amz-Algorithm=a&X-Amz-Date=b", [false; 3]),
            ("X-Amz-Signature=a&x-id=GetObject", [false, true, true]),
            ("%58-Amz-Signature=a", [false, true, false]),
            ("x-amz-signature=a", [false; 3]),
            ("Signature=a&X-Amz-Credential=b", [true, false, true]),
            ("AWSAccessKeyI%64", [true, false, true]),
        ] {
            assert_eq!(signs(query), found, "{query}");
        }
    }
}
