//! What a request says about itself, as far as conditions of policies may ask for it.
//!
//! Facts that follow from the principal or the time are worked out only when a condition asks for them.

use std::borrow::Cow;
use std::net::IpAddr;

use crate::bucket_config::Tag;
use crate::iam::Principal;
use crate::names::Stamp;

/// Condition keys and their values, as the request gives them. Keys are compared without regard to letter case.
#[derive(Debug, Clone, Default)]
pub struct RequestContext {
    /// When the request arrived: `aws:CurrentTime`, `aws:EpochTime`.
    pub now: Stamp,
    /// Address of the client: `aws:SourceIp`.
    pub source_ip: Option<IpAddr>,
    /// Whether it came over TLS: `aws:SecureTransport`.
    pub secure_transport: bool,
    values: Vec<(Cow<'static, str>, String)>,
}

impl RequestContext {
    /// A context without further values.
    pub fn new(now: Stamp, source_ip: Option<IpAddr>, secure_transport: bool) -> Self {
        Self { now, source_ip, secure_transport, values: Vec::new() }
    }

    /// Adds a value of a key such as `s3:prefix`, `aws:UserAgent` or `s3:RequestObjectTag/team`; a key may have several.
    pub fn add(&mut self, key: impl Into<Cow<'static, str>>, value: impl Into<String>) {
        self.values.push((key.into(), value.into()));
    }

    /// The same, for building in one expression.
    #[must_use]
    pub fn with(mut self, key: impl Into<Cow<'static, str>>, value: impl Into<String>) -> Self {
        self.add(key, value);
        self
    }

    /// The first value of a key that was added.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.all(key).next()
    }

    fn all<'s>(&'s self, key: &str) -> impl Iterator<Item = &'s str> {
        self.values.iter().filter(move |(name, _)| name.eq_ignore_ascii_case(key)).map(|(_, value)| value.as_str())
    }
}

/// Everything that conditions and variables of one decision can ask for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Facts<'a> {
    pub principal: Option<&'a Principal>,
    pub context: &'a RequestContext,
    /// Account that owns the bucket.
    pub resource_account: Option<&'a str>,
    /// Tags of the object: `s3:ExistingObjectTag/<key>`.
    pub object_tags: &'a [Tag],
}

/// What condition keys of an existing object's tags begin with, in lower case.
pub(super) const OBJECT_TAG_PREFIX: &str = "s3:existingobjecttag/";

impl<'a> Facts<'a> {
    /// The values of a condition key; none when the request does not have it.
    pub fn values(&self, key: &str) -> Vec<Cow<'a, str>> {
        let lower = key.to_ascii_lowercase();
        if let Some(value) = self.derived(&lower) {
            return vec![value];
        }
        if let Some(tag) = lower.strip_prefix(OBJECT_TAG_PREFIX) {
            return self.tags(tag).map(Cow::Borrowed).collect();
        }
        self.context.all(key).chain(self.claims(key)).map(Cow::Borrowed).collect()
    }

    /// The value of a policy variable: a key with exactly one value.
    pub fn variable(&self, key: &str) -> Option<String> {
        let lower = key.to_ascii_lowercase();
        if let Some(value) = self.derived(&lower) {
            return Some(value.into_owned());
        }
        let single = |values: &mut dyn Iterator<Item = &str>| {
            values.next().map(str::to_owned).filter(|_| values.next().is_none())
        };
        match lower.strip_prefix(OBJECT_TAG_PREFIX) {
            Some(tag) => single(&mut self.tags(tag)),
            None => single(&mut self.context.all(key).chain(self.claims(key))),
        }
    }

    /// What the token of an identity provider said, for which the session was given.
    fn claims<'s>(&'s self, key: &'s str) -> impl Iterator<Item = &'a str> {
        let claims =
            self.principal.and_then(|principal| principal.session.as_ref()).map(|session| session.claims.iter());
        claims
            .into_iter()
            .flatten()
            .filter(move |(name, _)| name.eq_ignore_ascii_case(key))
            .map(|(_, value)| value.as_str())
    }

    fn tags(&self, key: &str) -> impl Iterator<Item = &'a str> {
        self.object_tags.iter().filter(move |(name, _)| name.eq_ignore_ascii_case(key)).map(|(_, value)| value.as_str())
    }

    fn derived(&self, lower: &str) -> Option<Cow<'a, str>> {
        let context = self.context;
        let truth = |yes| Cow::Borrowed(if yes { "true" } else { "false" });
        match lower {
            "aws:sourceip" => context.source_ip.map(|ip| Cow::Owned(ip.to_canonical().to_string())),
            "aws:securetransport" => Some(truth(context.secure_transport)),
            "aws:currenttime" => Some(Cow::Owned(context.now.rfc3339())),
            "aws:epochtime" => Some(Cow::Owned(context.now.seconds().to_string())),
            "aws:viaawsservice" | "aws:principalisawsservice" => Some(truth(false)),
            "aws:resourceaccount" | "s3:resourceaccount" => self.resource_account.map(Cow::Borrowed),
            "aws:username" => {
                let user = self.principal.filter(|principal| principal.role.is_none());
                user.map(|principal| Cow::Borrowed(principal.user_name.as_str()))
            }
            "aws:userid" => Some(self.principal.map_or(Cow::Borrowed("anonymous"), Principal::unique_id)),
            "aws:principaltype" => Some(Cow::Borrowed(match self.principal {
                None => "Anonymous",
                Some(principal) if principal.role.is_some() => "AssumedRole",
                Some(principal) if principal.is_named_root => "Account",
                Some(_) => "User",
            })),
            "aws:principalarn" => self.principal.map(|principal| Cow::Owned(principal.arn())),
            "aws:principalaccount" => self.principal.map(|principal| Cow::Borrowed(principal.account_id.as_str())),
            _ => self.of_session(lower).or_else(|| self.tag_of_principal(lower)),
        }
    }

    /// What only temporary credentials have.
    fn of_session(&self, lower: &str) -> Option<Cow<'a, str>> {
        let session = self.principal?.session.as_ref()?;
        match lower {
            // The node knows no second factor.
            "aws:multifactorauthpresent" => Some(Cow::Borrowed("false")),
            "aws:tokenissuetime" => Some(Cow::Owned(session.issued_at.rfc3339())),
            "aws:federatedprovider" => session.provider.as_deref().map(Cow::Borrowed),
            "aws:sourceidentity" => session.source_identity.as_deref().map(Cow::Borrowed),
            _ => None,
        }
    }

    /// A tag of the session stands in for one of the user or role.
    fn tag_of_principal(&self, lower: &str) -> Option<Cow<'a, str>> {
        let key = lower.strip_prefix("aws:principaltag/")?;
        let principal = self.principal?;
        let session = principal.session.iter().flat_map(|session| session.tags.iter());
        let mut all = session.chain(principal.tags.iter());
        all.find(|(name, _)| name.eq_ignore_ascii_case(key)).map(|(_, value)| Cow::Borrowed(value.as_str()))
    }
}
