//! `Tagging` as an answer, and the documents of S3 Control's tag operations. `Tagging` as a request stands in
//! [`requests`](super::requests).

use super::read::{self, MalformedXml};
use super::requests::tag;
use super::write::XmlWriter;

/// Namespace of S3 Control's answers.
pub const CONTROL_NAMESPACE: &str = "http://awss3control.amazonaws.com/doc/2018-08-20/";

/// `Tagging`: the answer of GetObjectTagging and GetBucketTagging. A set has no order of its own, so it is told in that of its
/// keys.
pub fn write_tagging(tags: &[(String, String)]) -> String {
    let mut document = XmlWriter::new("Tagging");
    document.open("TagSet");
    let mut sorted = tags.to_vec();
    sorted.sort();
    write_tags(&mut document, &sorted);
    document.finish()
}

/// `ListTagsForResourceResult` of S3 Control.
pub fn write_resource_tags(tags: &[(String, String)]) -> String {
    let mut document = XmlWriter::in_namespace("ListTagsForResourceResult", CONTROL_NAMESPACE, 512);
    document.open("Tags");
    write_tags(&mut document, tags);
    document.finish()
}

fn write_tags(document: &mut XmlWriter, tags: &[(String, String)]) {
    for (key, value) in tags {
        document.open("Tag").text("Key", key).text("Value", value).close();
    }
}

/// Reads `TagResourceRequest` of S3 Control. Errs: MalformedXML.
pub fn tag_resource(body: &[u8]) -> Result<Vec<(String, String)>, MalformedXml> {
    let root = read::parse(body, "TagResourceRequest")?;
    let [tags] = root.branch()? else { return Err(MalformedXml::new("not one Tags")) };
    if tags.name != "Tags" {
        return Err(tags.unexpected());
    }
    tags.branch()?.iter().map(tag).collect()
}

#[cfg(test)]
mod tests {
    use super::super::requests::tagging;
    use super::*;

    #[test]
    fn what_is_answered_can_be_sent_back() {
        let tags = vec![("a&b".to_owned(), String::new()), ("k".to_owned(), "<v>".to_owned())];
        assert_eq!(tagging(write_tagging(&tags).as_bytes()).unwrap(), tags);
        assert_eq!(tagging(write_tagging(&[]).as_bytes()).unwrap(), []);
        let request = write_resource_tags(&tags).replace("ListTagsForResourceResult", "TagResourceRequest");
        assert_eq!(tag_resource(request.as_bytes()).unwrap(), tags);
        assert!(tag_resource(b"<TagResourceRequest/>").is_err());
        assert!(
            tag_resource(b"<TagResourceRequest><Tags><Tag><Key>a</Key></Tag></Tags></TagResourceRequest>").is_err()
        );
    }
}
