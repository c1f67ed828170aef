//! Configurations that are edited as the document that they are.

use actix_web::http::StatusCode;
use askama::Template;
use myfsio_actors::names::BucketName;

use super::{begin, change, revision, saved};
use crate::console::failure::Failure;
use crate::console::layout::Page;
use crate::console::links;
use crate::console::route::Outcome;
use crate::console::text::Properties;
use crate::console::visit::{Visit, render};
use crate::within::{Asker, Wish, collect};

/// Largest document that is shown, in bytes: forms take no more.
const DOCUMENT_BYTES_MAX: usize = 512 * 1024;

/// A configuration that has a page for its document.
pub(super) struct Kind {
    /// Its sub-resource.
    pub name: &'static str,
    /// Its icon.
    pub icon: &'static str,
    /// Its field in the bucket's configuration.
    part: &'static str,
    /// Permission to read it.
    pub read: &'static str,
    write: &'static str,
    /// What stands in place of nothing, where the API has no DELETE for it.
    empty: Option<&'static str>,
    /// Its title.
    pub title: fn(&Properties) -> &'static str,
    /// What it is for.
    pub lead: fn(&Properties) -> &'static str,
    example: &'static str,
}

/// All of them.
pub(super) const KINDS: &[Kind] = &[
    Kind {
        name: "cors",
        icon: "globe",
        part: "cors",
        read: "s3:GetBucketCORS",
        write: "s3:PutBucketCORS",
        empty: None,
        title: |t| t.cors,
        lead: |t| t.cors_lead,
        example: "<CORSConfiguration>\n  <CORSRule>\n    <AllowedOrigin>https://app.example.com</AllowedOrigin>\n    \
                  <AllowedMethod>GET</AllowedMethod>\n    <AllowedMethod>PUT</AllowedMethod>\n    \
                  <AllowedHeader>*</AllowedHeader>\n    <ExposeHeader>ETag</ExposeHeader>\n    \
                  <MaxAgeSeconds>600</MaxAgeSeconds>\n  </CORSRule>\n</CORSConfiguration>",
    },
    Kind {
        name: "notification",
        icon: "activity",
        part: "notification",
        read: "s3:GetBucketNotification",
        write: "s3:PutBucketNotification",
        empty: Some("<NotificationConfiguration/>"),
        title: |t| t.events,
        lead: |t| t.events_lead,
        example: "<NotificationConfiguration>\n  <QueueConfiguration>\n    <Id>uploads</Id>\n    \
                  <Queue>arn:minio:sqs::1:webhook</Queue>\n    <Event>s3:ObjectCreated:*</Event>\n  \
                  </QueueConfiguration>\n</NotificationConfiguration>",
    },
    Kind {
        name: "logging",
        icon: "list",
        part: "logging",
        read: "s3:GetBucketLogging",
        write: "s3:PutBucketLogging",
        empty: Some("<BucketLoggingStatus/>"),
        title: |t| t.logging,
        lead: |t| t.logging_lead,
        example: "<BucketLoggingStatus>\n  <LoggingEnabled>\n    <TargetBucket>logs</TargetBucket>\n    \
                  <TargetPrefix>access/</TargetPrefix>\n  </LoggingEnabled>\n</BucketLoggingStatus>",
    },
    Kind {
        name: "website",
        icon: "globe",
        part: "website",
        read: "s3:GetBucketWebsite",
        write: "s3:PutBucketWebsite",
        empty: None,
        title: |t| t.website,
        lead: |t| t.website_document_lead,
        example: "<WebsiteConfiguration>\n  <IndexDocument><Suffix>index.html</Suffix></IndexDocument>\n  \
                  <RoutingRules>\n    <RoutingRule>\n      \
                  <Condition><KeyPrefixEquals>docs/</KeyPrefixEquals></Condition>\n      \
                  <Redirect><ReplaceKeyPrefixWith>documents/</ReplaceKeyPrefixWith></Redirect>\n    \
                  </RoutingRule>\n  </RoutingRules>\n</WebsiteConfiguration>",
    },
    Kind {
        name: "lifecycle",
        icon: "history",
        part: "lifecycle",
        read: "s3:GetLifecycleConfiguration",
        write: "s3:PutLifecycleConfiguration",
        empty: None,
        title: |t| t.lifecycle,
        lead: |t| t.lifecycle_lead,
        example: "<LifecycleConfiguration>\n  <Rule>\n    <ID>tmp</ID>\n    <Status>Enabled</Status>\n    \
                  <Filter><Prefix>tmp/</Prefix></Filter>\n    <Expiration><Days>30</Days></Expiration>\n  \
                  </Rule>\n</LifecycleConfiguration>",
    },
];

#[derive(Template)]
#[template(path = "properties/document.html")]
struct DocumentPage {
    page: Page,
    bucket: String,
    name: &'static str,
    lead: &'static str,
    document: String,
    example: &'static str,
    revision: String,
    may_change: bool,
}

/// The kind that a request names. Errs: there is none of this name.
fn kind(name: &str) -> Result<&'static Kind, Failure> {
    KINDS.iter().find(|kind| kind.name == name).ok_or(Failure::NoSuchPage)
}

pub(super) async fn show(visit: Visit) -> Outcome {
    let kind = kind(visit.query.text("name"))?;
    let bucket = visit.bucket().await?;
    let asker = visit.asker()?;
    let document = current(asker, &bucket.name, kind.name).await?.map(|text| indented(&text)).unwrap_or_default();
    let name = bucket.name.as_str();
    let view = DocumentPage {
        bucket: name.to_owned(),
        name: kind.name,
        lead: (kind.lead)(&visit.t.properties),
        document,
        example: kind.example,
        revision: revision(&bucket, kind.part),
        may_change: asker.may(kind.write, Some(&bucket), None),
        page: visit
            .page((kind.title)(&visit.t.properties))
            .for_bucket(asker, &bucket, "properties")
            .crumb(visit.t.properties.title, links::bucket(name, "properties")),
    };
    render(&view)
}

pub(super) async fn put(visit: Visit) -> Outcome {
    let kind = kind(visit.form.text("name"))?;
    let (bucket, asker) = begin(&visit, kind.write, kind.part).await?;
    let document = visit.form.text("document");
    match (document.is_empty() || visit.form.text("do") == "remove", kind.empty) {
        (false, _) => asker.put_document(&bucket.name, kind.name, document).await?,
        (true, Some(empty)) => asker.put_document(&bucket.name, kind.name, empty).await?,
        (true, None) => change::remove(&asker, &bucket.name, kind.name).await?,
    }
    saved(&visit, &bucket, "properties")
}

/// The document of a configuration of a bucket that is there; none where nothing is configured. Errs: as the API would.
pub(super) async fn current(asker: &Asker, bucket: &BucketName, name: &str) -> Result<Option<String>, Failure> {
    let answer = asker.s3(Wish { bucket: Some(bucket), query: &[(name, "")], ..Wish::default() }).await;
    match answer {
        Ok(answer) => {
            let bytes = collect(answer, DOCUMENT_BYTES_MAX).await?;
            Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
        }
        Err(refusal) if refusal.status == StatusCode::NOT_FOUND => Ok(None),
        Err(refusal) => Err(refusal.into()),
    }
}

/// A document as the node writes it, with a line for each element.
fn indented(document: &str) -> String {
    let body = document.split_once("?>").map_or(document, |(_, body)| body).trim();
    let mut out = String::new();
    let mut depth = 0_usize;
    for (at, part) in body.split("><").enumerate() {
        // Split off were the angle brackets between two tags.
        let closes = part.starts_with('/');
        if closes {
            depth = depth.saturating_sub(1);
        }
        if at > 0 {
            out.push_str(">\n");
            out.push_str(&"  ".repeat(depth));
            out.push('<');
        }
        out.push_str(part);
        let holds_its_end = part.contains("</") || part.ends_with('/') || part.ends_with("/>");
        if !closes && !holds_its_end {
            depth += 1;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::indented;

    #[test]
    fn documents_get_lines() {
        let shown = indented("<?xml version=\"1.0\"?>\n<A xmlns=\"x\"><B><C>1 &lt; 2</C><D/></B><E></E></A>");
        assert_eq!(shown, "<A xmlns=\"x\">\n  <B>\n    <C>1 &lt; 2</C>\n    <D/>\n  </B>\n  <E>\n  </E>\n</A>");
        assert_eq!(indented("<A/>"), "<A/>");
        assert_eq!(indented(""), "");
    }
}
