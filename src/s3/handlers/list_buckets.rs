//! ListBuckets (S3 API Reference): the buckets that the caller owns or may list, in order of their names.

use actix_web::http::StatusCode;

use super::listing::{Owners, number};
use crate::s3::context::Call;
use crate::s3::error::S3Error;
use crate::s3::listing_token::{ListingToken, TokenKind};
use crate::s3::query::Query;
use crate::s3::respond::{Answer, xml};
use crate::s3::xml::XmlWriter;

/// Most buckets of one page.
const BUCKETS_MAX: usize = 10_000;

/// What a ListBuckets request asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Wanted {
    prefix: Option<String>,
    region: Option<String>,
    after: Option<String>,
    limit: usize,
}

impl Wanted {
    /// Reads the query. Errs: InvalidArgument.
    fn parse(query: &Query) -> Result<Self, S3Error> {
        let limit = match query.get_filled("max-buckets") {
            None => BUCKETS_MAX,
            Some(text) => number(text)
                .and_then(|n| usize::try_from(n).ok())
                .filter(|n| (1..=BUCKETS_MAX).contains(n))
                .ok_or_else(|| {
                    let message = "Argument max-buckets must be an integer between 1 and 10000";
                    S3Error::invalid_argument("max-buckets", text, message)
                })?,
        };
        let after = query.get_filled("continuation-token").map(|text| {
            ListingToken::decode(text, TokenKind::Buckets).map(|token| token.after).ok_or_else(|| {
                S3Error::invalid_argument("continuation-token", text, "The continuation token provided is incorrect")
            })
        });
        Ok(Self {
            prefix: query.get_filled("prefix").map(str::to_owned),
            region: query.get_filled("bucket-region").map(str::to_owned),
            after: after.transpose()?,
            limit,
        })
    }

    /// Whether a bucket of this name, in this region, is asked for.
    fn takes(&self, name: &str, region: &str) -> bool {
        self.prefix.as_deref().is_none_or(|prefix| name.starts_with(prefix))
            && self.after.as_deref().is_none_or(|after| name > after)
            && self.region.as_deref().is_none_or(|wanted| wanted == region)
    }
}

/// ListBuckets. Errs: InvalidArgument.
pub async fn list_buckets(call: Call) -> Answer {
    let wanted = Wanted::parse(&call.query)?;
    let region = &call.node.settings.region;
    let buckets = call.storage().buckets();
    let sees = call.sees_bucket();
    let mut seen =
        buckets.iter().filter(|bucket| wanted.takes(bucket.name.as_str(), region) && sees(bucket)).peekable();
    let mut out = XmlWriter::new("ListAllMyBucketsResult");
    Owners::new(&call).write(&mut out, "Owner", &call.owner_id());
    out.open("Buckets");
    let mut last = None;
    for bucket in seen.by_ref().take(wanted.limit) {
        out.open("Bucket").value("Name", &bucket.name).time("CreationDate", bucket.created);
        out.text("BucketRegion", region).close();
        last = Some(bucket.name.as_str().to_owned());
    }
    out.close();
    if let (Some(_), Some(after)) = (seen.peek(), last) {
        let token = ListingToken { after, after_is_prefix: false };
        out.value("ContinuationToken", token.encode(TokenKind::Buckets));
    }
    out.text_if("Prefix", wanted.prefix.as_deref());
    Ok(xml(StatusCode::OK, out.finish()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(query: &str) -> Result<Wanted, S3Error> {
        Wanted::parse(&Query::parse(query).unwrap())
    }

    #[test]
    fn parameters_are_read() {
        assert_eq!(wanted("").unwrap().limit, 10_000);
        for bad in ["max-buckets=0", "max-buckets=10001", "max-buckets=x", "continuation-token=x"] {
            assert_eq!(wanted(bad).unwrap_err().code().name(), "InvalidArgument", "{bad}");
        }
        let objects = ListingToken { after: "a".to_owned(), after_is_prefix: false }.encode(TokenKind::Objects);
        assert!(wanted(&format!("continuation-token={objects}")).is_err());
    }

    #[test]
    fn buckets_are_filtered() {
        let after = ListingToken { after: "log-1".to_owned(), after_is_prefix: false }.encode(TokenKind::Buckets);
        let wanted = wanted(&format!("prefix=log&bucket-region=us-east-1&continuation-token={after}")).unwrap();
        assert!(wanted.takes("log-2", "us-east-1"));
        assert!(!wanted.takes("log-1", "us-east-1"));
        assert!(!wanted.takes("data", "us-east-1"));
        assert!(!wanted.takes("log-2", "eu-west-1"));
    }
}
