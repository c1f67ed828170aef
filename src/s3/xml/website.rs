//! `WebsiteConfiguration` (S3 API Reference, PutBucketWebsite).

use myfsio_actors::bucket_config::{Redirect, RedirectAll, RoutingCondition, RoutingRule, Website};

use super::read::{self, Element, MalformedXml};
use super::write::XmlWriter;
use crate::s3::error::{ErrorCode, S3Error};

/// Largest document in bytes (S3 User Guide, "Configuring webpage redirects": 128 KB).
pub const WEBSITE_BYTES_MAX: usize = 128 * 1024;

const RULES_MAX: usize = 50;

/// Reads `WebsiteConfiguration`. Errs: MalformedXML, InvalidArgument, InvalidRequest with S3's messages.
pub fn website_configuration(body: &[u8]) -> Result<Website, S3Error> {
    let root = read::parse(body, "WebsiteConfiguration")?;
    let (mut website, mut has_rules) = (Website::default(), false);
    for child in root.fields()? {
        match child.name.as_str() {
            "IndexDocument" => website.index_suffix = Some(only(child, "Suffix")?),
            "ErrorDocument" => website.error_key = Some(only(child, "Key")?),
            "RedirectAllRequestsTo" => website.redirect_all = Some(redirect_all(child)?),
            "RoutingRules" => {
                has_rules = true;
                website.routing_rules = routing_rules(child)?;
            }
            _ => return Err(child.unexpected().into()),
        }
    }
    check(&website, has_rules)?;
    Ok(website)
}

fn check(website: &Website, has_rules: bool) -> Result<(), S3Error> {
    if website.redirect_all.is_some() {
        if website.index_suffix.is_some() || website.error_key.is_some() || has_rules {
            let message = "RedirectAllRequestsTo cannot be provided in conjunction with other Routing Rules.";
            return Err(S3Error::invalid_argument("RedirectAllRequestsTo", "not null", message));
        }
        return Ok(());
    }
    let Some(suffix) = &website.index_suffix else {
        let message = "A value for IndexDocument Suffix must be provided if RedirectAllRequestsTo is empty";
        return Err(S3Error::invalid_argument("IndexDocument", "null", message));
    };
    if suffix.is_empty() || suffix.contains('/') {
        let message = "The IndexDocument Suffix is not well formed";
        return Err(S3Error::invalid_argument("IndexDocument", suffix, message));
    }
    if website.error_key.as_deref() == Some("") {
        let message = "The ErrorDocument Key is not well formed";
        return Err(S3Error::invalid_argument("ErrorDocument", "", message));
    }
    Ok(())
}

/// The text of the one child.
fn only(element: &Element, name: &str) -> Result<String, MalformedXml> {
    match element.branch()? {
        [child] if child.name == name => Ok(child.leaf()?.to_owned()),
        _ => Err(MalformedXml::new(format!("not one {name} in {}", element.name))),
    }
}

fn invalid(message: impl Into<String>) -> S3Error {
    S3Error::with_message(ErrorCode::InvalidRequest, message.into())
}

fn redirect_all(element: &Element) -> Result<RedirectAll, S3Error> {
    let (mut host_name, mut protocol) = (None, None);
    for child in element.fields()? {
        match child.name.as_str() {
            "HostName" => host_name = Some(child.leaf()?.trim().to_owned()),
            "Protocol" => protocol = Some(protocol_of(child)?),
            _ => return Err(child.unexpected().into()),
        }
    }
    let host_name = host_name.ok_or_else(|| MalformedXml::new("RedirectAllRequestsTo without HostName"))?;
    if host_name.is_empty() {
        return Err(invalid("A host name must be provided to redirect all requests (e.g. \"example.com\")."));
    }
    check_host(&host_name)?;
    Ok(RedirectAll { host_name, protocol })
}

/// A host stands in the header `Location` as it is. Errs: InvalidRequest.
fn check_host(host: &str) -> Result<(), S3Error> {
    match host.bytes().all(|byte| byte.is_ascii_graphic()) {
        true => Ok(()),
        false => Err(invalid(format!("The provided host name ({host}) is not valid."))),
    }
}

fn protocol_of(element: &Element) -> Result<String, S3Error> {
    match element.leaf()?.trim() {
        protocol @ ("http" | "https") => Ok(protocol.to_owned()),
        _ => Err(invalid(
            "Invalid protocol, protocol can be http or https. If not defined the protocol will be selected automatically.",
        )),
    }
}

fn routing_rules(element: &Element) -> Result<Vec<RoutingRule>, S3Error> {
    let rules = element.branch()?;
    if rules.is_empty() {
        return Err(MalformedXml::new("no routing rules").into());
    }
    if rules.len() > RULES_MAX {
        return Err(invalid(format!(
            "{} routing rules provided, the number of routing rules in a website configuration is limited to {RULES_MAX}.",
            rules.len()
        )));
    }
    rules.iter().map(routing_rule).collect()
}

fn routing_rule(element: &Element) -> Result<RoutingRule, S3Error> {
    if element.name != "RoutingRule" {
        return Err(element.unexpected().into());
    }
    let (mut condition_of_rule, mut redirect_of_rule) = (None, None);
    for child in element.fields()? {
        match child.name.as_str() {
            "Condition" => condition_of_rule = Some(condition(child)?),
            "Redirect" => redirect_of_rule = Some(redirect(child)?),
            _ => return Err(child.unexpected().into()),
        }
    }
    let redirect = redirect_of_rule.ok_or_else(|| MalformedXml::new("a rule without Redirect"))?;
    Ok(RoutingRule { condition: condition_of_rule, redirect })
}

fn condition(element: &Element) -> Result<RoutingCondition, S3Error> {
    let mut condition = RoutingCondition::default();
    for child in element.fields()? {
        match child.name.as_str() {
            "KeyPrefixEquals" => condition.key_prefix = Some(child.leaf()?.to_owned()),
            "HttpErrorCodeReturnedEquals" => condition.error_code = Some(error_code(child.leaf()?.trim())?),
            _ => return Err(child.unexpected().into()),
        }
    }
    if condition == RoutingCondition::default() {
        return Err(invalid(
            "Condition cannot be empty. To redirect all requests without a condition, the condition element shouldn't be \
             present.",
        ));
    }
    Ok(condition)
}

fn error_code(text: &str) -> Result<u16, S3Error> {
    text.parse().ok().filter(|code| (400..600).contains(code)).ok_or_else(|| {
        invalid(format!("The provided HTTP error code ({text}) is not valid. Valid codes are 4XX or 5XX."))
    })
}

fn redirect(element: &Element) -> Result<Redirect, S3Error> {
    let mut redirect = Redirect::default();
    for child in element.fields()? {
        let text = child.leaf()?;
        match child.name.as_str() {
            "HostName" => {
                check_host(text.trim())?;
                redirect.host_name = Some(text.trim().to_owned());
            }
            "Protocol" => redirect.protocol = Some(protocol_of(child)?),
            "ReplaceKeyPrefixWith" => redirect.replace_key_prefix = Some(text.to_owned()),
            "ReplaceKeyWith" => redirect.replace_key = Some(text.to_owned()),
            "HttpRedirectCode" => redirect.http_code = Some(redirect_code(text.trim())?),
            _ => return Err(child.unexpected().into()),
        }
    }
    if redirect == Redirect::default() {
        return Err(MalformedXml::new("an empty Redirect").into());
    }
    if redirect.replace_key.is_some() && redirect.replace_key_prefix.is_some() {
        return Err(invalid("You can only define ReplaceKeyPrefix or ReplaceKey but not both."));
    }
    Ok(redirect)
}

fn redirect_code(text: &str) -> Result<u16, S3Error> {
    text.parse().ok().filter(|code| (301..400).contains(code)).ok_or_else(|| {
        invalid(format!("The provided HTTP redirect code ({text}) is not valid. Valid codes are 3XX except 300."))
    })
}

/// `WebsiteConfiguration`.
pub fn write_website(website: &Website) -> String {
    let mut document = XmlWriter::new("WebsiteConfiguration");
    if let Some(all) = &website.redirect_all {
        document.open("RedirectAllRequestsTo").text("HostName", &all.host_name);
        document.text_if("Protocol", all.protocol.as_deref()).close();
    }
    if let Some(suffix) = &website.index_suffix {
        document.open("IndexDocument").text("Suffix", suffix).close();
    }
    if let Some(key) = &website.error_key {
        document.open("ErrorDocument").text("Key", key).close();
    }
    if !website.routing_rules.is_empty() {
        document.open("RoutingRules");
        for rule in &website.routing_rules {
            write_rule(&mut document, rule);
        }
        document.close();
    }
    document.finish()
}

fn write_rule(document: &mut XmlWriter, rule: &RoutingRule) {
    document.open("RoutingRule");
    if let Some(condition) = &rule.condition {
        document.open("Condition").text_if("KeyPrefixEquals", condition.key_prefix.as_deref());
        if let Some(code) = condition.error_code {
            document.value("HttpErrorCodeReturnedEquals", code);
        }
        document.close();
    }
    let redirect = &rule.redirect;
    document.open("Redirect").text_if("Protocol", redirect.protocol.as_deref());
    document.text_if("HostName", redirect.host_name.as_deref());
    document.text_if("ReplaceKeyPrefixWith", redirect.replace_key_prefix.as_deref());
    document.text_if("ReplaceKeyWith", redirect.replace_key.as_deref());
    if let Some(code) = redirect.http_code {
        document.value("HttpRedirectCode", code);
    }
    document.close().close();
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const INDEX: &str = "<IndexDocument><Suffix>index.html</Suffix></IndexDocument>";

    fn refusal(inside: &str) -> (ErrorCode, String) {
        let body = format!("<WebsiteConfiguration>{inside}</WebsiteConfiguration>");
        let error = website_configuration(body.as_bytes()).unwrap_err();
        (error.code(), error.message().to_owned())
    }

    fn rule(inside: &str) -> String {
        format!("{INDEX}<RoutingRules><RoutingRule>{inside}</RoutingRule></RoutingRules>")
    }

    #[test]
    fn documents_are_checked() {
        for (inside, code, start) in [
            (String::new(), ErrorCode::InvalidArgument, "A value for IndexDocument Suffix"),
            ("<IndexDocument/>".to_owned(), ErrorCode::MalformedXML, ""),
            (
                "<IndexDocument><Suffix>a/b</Suffix></IndexDocument>".to_owned(),
                ErrorCode::InvalidArgument,
                "The IndexDocument Suffix is not",
            ),
            (format!("{INDEX}<ErrorDocument><Key/></ErrorDocument>"), ErrorCode::InvalidArgument, "The ErrorDocument"),
            (
                format!("{INDEX}<RedirectAllRequestsTo><HostName>a</HostName></RedirectAllRequestsTo>"),
                ErrorCode::InvalidArgument,
                "RedirectAllRequestsTo cannot",
            ),
            ("<RedirectAllRequestsTo/>".to_owned(), ErrorCode::MalformedXML, ""),
            (
                "<RedirectAllRequestsTo><HostName>a</HostName><Protocol>ftp</Protocol></RedirectAllRequestsTo>"
                    .to_owned(),
                ErrorCode::InvalidRequest,
                "Invalid protocol",
            ),
            (
                "<RedirectAllRequestsTo><HostName>a b</HostName></RedirectAllRequestsTo>".to_owned(),
                ErrorCode::InvalidRequest,
                "The provided host name (a b)",
            ),
            (rule("<Redirect><HostName>é</HostName></Redirect>"), ErrorCode::InvalidRequest, "The provided host name"),
            (format!("{INDEX}<RoutingRules/>"), ErrorCode::MalformedXML, ""),
            (rule(""), ErrorCode::MalformedXML, ""),
            (rule("<Redirect/>"), ErrorCode::MalformedXML, ""),
            (
                rule("<Condition/><Redirect><HostName>a</HostName></Redirect>"),
                ErrorCode::InvalidRequest,
                "Condition cannot be empty.",
            ),
            (
                rule(
                    "<Condition><HttpErrorCodeReturnedEquals>200</HttpErrorCodeReturnedEquals></Condition>\
                     <Redirect><HostName>a</HostName></Redirect>",
                ),
                ErrorCode::InvalidRequest,
                "The provided HTTP error code (200)",
            ),
            (
                rule("<Redirect><HttpRedirectCode>300</HttpRedirectCode></Redirect>"),
                ErrorCode::InvalidRequest,
                "The provided HTTP redirect code (300)",
            ),
            (
                rule(
                    "<Redirect><ReplaceKeyWith>a</ReplaceKeyWith><ReplaceKeyPrefixWith>b</ReplaceKeyPrefixWith></Redirect>",
                ),
                ErrorCode::InvalidRequest,
                "You can only define",
            ),
        ] {
            let (got, message) = refusal(&inside);
            assert_eq!(got, code, "{inside}");
            assert!(message.starts_with(start), "{message}");
        }
    }

    prop_compose! {
        fn any_rule()(
            key_prefix in proptest::option::of("[ -~]{0,9}"),
            error_code in proptest::option::of(400u16..600),
            host_name in "[a-z.]{1,9}",
            protocol in proptest::option::of("https?"),
            replace_key in proptest::option::of("[ -~]{0,9}"),
            http_code in proptest::option::of(301u16..400),
        ) -> RoutingRule {
            let condition = RoutingCondition { key_prefix, error_code };
            let condition = (condition != RoutingCondition::default()).then_some(condition);
            let redirect =
                Redirect { host_name: Some(host_name), protocol, replace_key, http_code, replace_key_prefix: None };
            RoutingRule { condition, redirect }
        }
    }

    proptest! {
        #[test]
        fn what_is_answered_can_be_sent_back(
            suffix in "[a-z.]{1,9}", error_key in proptest::option::of("[ -~]{1,9}"),
            routing_rules in proptest::collection::vec(any_rule(), 0..4),
        ) {
            let website = Website { index_suffix: Some(suffix), error_key, routing_rules, redirect_all: None };
            prop_assert_eq!(website_configuration(write_website(&website).as_bytes()).unwrap(), website);
        }
    }
}
