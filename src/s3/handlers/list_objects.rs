//! ListObjects (version 1) and ListObjectsV2 (S3 API Reference).

use actix_web::http::StatusCode;
use myfsio_actors::storage::{ListObjects, ObjectPage};

use super::listing::{Owners, Selection, storage_class, write_object};
use crate::s3::context::Call;
use crate::s3::error::S3Error;
use crate::s3::listing_token::{ListingToken, TokenKind};
use crate::s3::respond::{Answer, xml};
use crate::s3::xml::XmlWriter;

/// Bytes to reserve for each entry of an answer.
const ENTRY_BYTES: usize = 400;

/// ListObjects: pages by `marker`. Errs: InvalidArgument.
pub async fn list_objects(call: Call) -> Answer {
    let selection = Selection::parse(&call.query, "max-keys")?;
    let marker = call.query.get("marker").unwrap_or_default();
    // A NextMarker may be a common prefix; given back, it stands for all of it.
    let after_is_prefix = selection.is_common_prefix(marker);
    let after = (!marker.is_empty()).then(|| marker.to_owned());
    let page = page(&call, &selection, after, after_is_prefix).await?;
    let mut out = XmlWriter::with_capacity("ListBucketResult", capacity(&page));
    write_name(&call, &selection, &mut out)?;
    out.key("Marker", marker, selection.url);
    if let (Some(next), Some(_)) = (&page.next, &selection.delimiter) {
        out.key("NextMarker", next, selection.url);
    }
    out.value("MaxKeys", selection.limit);
    selection.write_delimiter(&mut out);
    out.value("IsTruncated", page.next.is_some());
    write_entries(&call, &selection, &page, true, &mut out);
    Ok(xml(StatusCode::OK, out.finish()))
}

/// ListObjectsV2: pages by an opaque `continuation-token`, which overrules `start-after`. Errs: InvalidArgument.
pub async fn list_objects_v2(call: Call) -> Answer {
    let selection = Selection::parse(&call.query, "max-keys")?;
    let start_after = call.query.get("start-after");
    let given = call.query.get("continuation-token");
    let (after, after_is_prefix) = match read_token(given)? {
        Some(token) => (Some(token.after), token.after_is_prefix),
        None => (start_after.filter(|key| !key.is_empty()).map(str::to_owned), false),
    };
    let fetch_owner = call.query.get("fetch-owner").is_some_and(|value| value.eq_ignore_ascii_case("true"));
    let page = page(&call, &selection, after, after_is_prefix).await?;
    let mut out = XmlWriter::with_capacity("ListBucketResult", capacity(&page));
    write_name(&call, &selection, &mut out)?;
    out.text_if("ContinuationToken", given);
    if let Some(after) = &page.next {
        let token = ListingToken { after: after.clone(), after_is_prefix: page.next_is_prefix };
        out.value("NextContinuationToken", token.encode(TokenKind::Objects));
    }
    if let Some(key) = start_after {
        out.key("StartAfter", key, selection.url);
    }
    out.value("KeyCount", page.entries.len() + page.common_prefixes.len()).value("MaxKeys", selection.limit);
    selection.write_delimiter(&mut out);
    out.value("IsTruncated", page.next.is_some());
    write_entries(&call, &selection, &page, fetch_owner, &mut out);
    Ok(xml(StatusCode::OK, out.finish()))
}

/// An empty token counts as absent, as on S3.
fn read_token(text: Option<&str>) -> Result<Option<ListingToken>, S3Error> {
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(None) };
    ListingToken::decode(text, TokenKind::Objects).map(Some).ok_or_else(|| {
        S3Error::invalid_argument("continuation-token", text, "The continuation token provided is incorrect")
    })
}

async fn page(
    call: &Call,
    selection: &Selection,
    after: Option<String>,
    after_is_prefix: bool,
) -> Result<ObjectPage, S3Error> {
    // An empty page has no end to go on from: never truncated.
    if selection.limit == 0 {
        return Ok(ObjectPage::default());
    }
    let query = ListObjects {
        bucket: call.bucket()?,
        prefix: selection.prefix.clone(),
        delimiter: selection.delimiter.clone(),
        after,
        after_is_prefix,
        limit: selection.limit,
    };
    Ok(call.storage().list_objects(query).await?)
}

fn capacity(page: &ObjectPage) -> usize {
    1024 + ENTRY_BYTES * (page.entries.len() + page.common_prefixes.len())
}

fn write_name(call: &Call, selection: &Selection, out: &mut XmlWriter) -> Result<(), S3Error> {
    out.value("Name", &call.bucket()?.name).key("Prefix", &selection.prefix, selection.url);
    Ok(())
}

fn write_entries(call: &Call, selection: &Selection, page: &ObjectPage, with_owner: bool, out: &mut XmlWriter) {
    let mut owners = Owners::new(call);
    for entry in &page.entries {
        let object = &entry.object;
        out.open("Contents").key("Key", entry.key.as_str(), selection.url);
        write_object(out, object);
        if with_owner {
            owners.write_owner(out, &object.owner);
        }
        out.text("StorageClass", storage_class(object.attributes.storage_class.as_deref())).close();
    }
    selection.write_common_prefixes(out, &page.common_prefixes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_read() {
        assert_eq!(read_token(None).unwrap(), None);
        assert_eq!(read_token(Some("")).unwrap(), None);
        let token = ListingToken { after: "a/".to_owned(), after_is_prefix: true };
        assert_eq!(read_token(Some(&token.encode(TokenKind::Objects))).unwrap(), Some(token));
        assert_eq!(read_token(Some("junk")).unwrap_err().code().name(), "InvalidArgument");
    }
}
