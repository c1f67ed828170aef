//! What a request says about itself, as far as conditions of policies may ask for it.
//!
//! Facts that follow from the principal or the time are worked out only when a condition asks for them.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::fmt;
use std::net::IpAddr;

use super::condition_keys::has_key;
use crate::bucket_config::Tag;
use crate::iam::Principal;
use crate::names::Stamp;

/// How many values there is room for at once: a usual request has fewer.
const VALUES_USUAL: usize = 8;

/// A condition key and one of its values.
pub type ContextValue = (Cow<'static, str>, String);

/// What a request says about itself, as decisions ask for it. Most depend on nothing but what every request has; what takes work to
/// find out is asked for by those only whose policies have such a condition.
pub trait ContextSource: fmt::Debug {
    /// When the request arrived: `aws:CurrentTime`, `aws:EpochTime`.
    fn now(&self) -> Stamp;
    /// Address of the client: `aws:SourceIp`.
    fn source_ip(&self) -> Option<IpAddr>;
    /// Whether it came over TLS: `aws:SecureTransport`.
    fn secure_transport(&self) -> bool;
    /// All else. Keys are compared without regard to letter case, and may have several values.
    fn values(&self) -> &[ContextValue];
}

impl ContextSource for RequestContext {
    fn now(&self) -> Stamp {
        self.now
    }

    fn source_ip(&self) -> Option<IpAddr> {
        self.source_ip
    }

    fn secure_transport(&self) -> bool {
        self.secure_transport
    }

    fn values(&self) -> &[ContextValue] {
        &self.values
    }
}

/// The values of a key, in whatever letter case.
pub(super) fn values_of<'s>(context: &'s dyn ContextSource, key: &str) -> impl Iterator<Item = &'s str> {
    context.values().iter().filter(move |(name, _)| name.eq_ignore_ascii_case(key)).map(|(_, value)| value.as_str())
}

/// Condition keys and their values, as the request gives them. Keys are compared without regard to letter case.
#[derive(Debug, Clone, Default)]
pub struct RequestContext {
    /// When the request arrived: `aws:CurrentTime`, `aws:EpochTime`.
    pub now: Stamp,
    /// Address of the client: `aws:SourceIp`.
    pub source_ip: Option<IpAddr>,
    /// Whether it came over TLS: `aws:SecureTransport`.
    pub secure_transport: bool,
    values: Vec<ContextValue>,
}

impl RequestContext {
    /// A context without further values.
    pub fn new(now: Stamp, source_ip: Option<IpAddr>, secure_transport: bool) -> Self {
        Self { now, source_ip, secure_transport, values: Vec::with_capacity(VALUES_USUAL) }
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

    /// Takes a value of a key from a description of a request that nobody sent: what is known of every request has a place of its own.
    /// Errs: it is no address, or no time.
    pub fn tell(&mut self, key: &str, text: &str) -> Result<(), &'static str> {
        match key.to_ascii_lowercase().as_str() {
            "aws:sourceip" => self.source_ip = Some(text.parse().map_err(|_| "It is no IP address.")?),
            "aws:securetransport" => self.secure_transport = text.eq_ignore_ascii_case("true"),
            "aws:currenttime" | "aws:epochtime" => {
                let seconds = || Some(Stamp::default().after(text.parse().ok()?));
                self.now = seconds().or_else(|| Stamp::parse_time_or_date(text)).ok_or("It is no time.")?;
            }
            _ => self.add(key.to_owned(), text),
        }
        Ok(())
    }

    /// The first value of a key that was added.
    pub fn get(&self, key: &str) -> Option<&str> {
        values_of(self, key).next()
    }
}

/// A value of a condition key. What is no text becomes one only for those who compare texts.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Found<'a> {
    Text(Cow<'a, str>),
    Address(IpAddr),
    Time(Stamp),
    /// Since the epoch.
    Seconds(u64),
}

impl<'a> Found<'a> {
    /// The value as text.
    pub fn text(&self) -> Cow<'_, str> {
        match self {
            Self::Text(text) => Cow::Borrowed(text),
            other => other.clone().into_text(),
        }
    }

    /// The value as text.
    pub fn into_text(self) -> Cow<'a, str> {
        match self {
            Self::Text(text) => text,
            Self::Address(address) => Cow::Owned(address.to_string()),
            Self::Time(time) => Cow::Owned(time.rfc3339()),
            Self::Seconds(seconds) => Cow::Owned(seconds.to_string()),
        }
    }

    fn borrowed(text: &'a str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }
}

/// Everything that conditions and variables of one decision can ask for.
#[derive(Debug, Clone)]
pub(super) struct Facts<'a> {
    pub principal: Option<&'a Principal>,
    /// What is asked for, by its canonical name: of what the request says, conditions see what this action has.
    action: &'a str,
    pub context: &'a dyn ContextSource,
    /// Account that owns the bucket.
    pub resource_account: Option<&'a str>,
    /// Tags of the object: `s3:ExistingObjectTag/<key>`.
    pub object_tags: &'a [Tag],
    /// ARN of the principal, once somebody has asked for it.
    principal_arn: OnceCell<String>,
}

/// What condition keys of an existing object's tags begin with, in lower case.
pub(super) const OBJECT_TAG_PREFIX: &str = "s3:existingobjecttag/";

/// Condition keys, in lower case, whose values follow from who asks and when, whatever the request says.
const OF_SENDER: [&str; 13] = [
    "aws:currenttime",
    "aws:epochtime",
    "aws:federatedprovider",
    "aws:multifactorauthage",
    "aws:multifactorauthpresent",
    "aws:principalaccount",
    "aws:principalarn",
    "aws:principalisawsservice",
    "aws:principaltype",
    "aws:sourceidentity",
    "aws:tokenissuetime",
    "aws:userid",
    "aws:username",
];

/// Whether the value of a condition key, given in lower case, depends on what a request says.
pub(super) fn is_of_request(lower: &str) -> bool {
    !OF_SENDER.contains(&lower) && !lower.starts_with("aws:principaltag/")
}

impl<'a> Facts<'a> {
    /// The facts of a decision.
    pub fn new(
        principal: Option<&'a Principal>,
        action: &'a str,
        context: &'a dyn ContextSource,
        resource_account: Option<&'a str>,
        object_tags: &'a [Tag],
    ) -> Self {
        Self { principal, action, context, resource_account, object_tags, principal_arn: OnceCell::new() }
    }

    /// The values of a condition key, given in lower case; none when the request does not have it.
    pub fn values<'s>(&'s self, lower: &str) -> impl Iterator<Item = Found<'s>> {
        let derived = self.derived(lower);
        let is_open = derived.is_none() && has_key(self.action, lower);
        let tag = lower.strip_prefix(OBJECT_TAG_PREFIX).filter(|_| is_open);
        let added = Some(lower).filter(|_| is_open && tag.is_none());
        let tags = tag.into_iter().flat_map(|tag| self.tags(tag));
        let added = added.into_iter().flat_map(|key| values_of(self.context, key).chain(self.claims(key)));
        derived.into_iter().chain(tags.chain(added).map(Found::borrowed))
    }

    /// The value of a policy variable, given in lower case: a key with exactly one value.
    pub fn variable<'s>(&'s self, lower: &str) -> Option<Cow<'s, str>> {
        let mut values = self.values(lower);
        let first = values.next()?;
        values.next().is_none().then(|| first.into_text())
    }

    /// What the token of an identity provider said, for which the session was given.
    fn claims(&self, key: &str) -> impl Iterator<Item = &'a str> {
        let session = self.principal.and_then(|principal| principal.session.as_deref());
        let claims = session.map(|session| session.claims.as_slice()).unwrap_or_default();
        claims.iter().filter(move |(name, _)| name.eq_ignore_ascii_case(key)).map(|(_, value)| value.as_str())
    }

    fn tags(&self, key: &str) -> impl Iterator<Item = &'a str> {
        self.object_tags.iter().filter(move |(name, _)| name.eq_ignore_ascii_case(key)).map(|(_, value)| value.as_str())
    }

    fn derived(&self, lower: &str) -> Option<Found<'_>> {
        let context = self.context;
        let truth = |yes| Found::borrowed(if yes { "true" } else { "false" });
        match lower {
            "aws:sourceip" => context.source_ip().map(|ip| Found::Address(ip.to_canonical())),
            "aws:securetransport" => Some(truth(context.secure_transport())),
            "aws:currenttime" => Some(Found::Time(context.now())),
            "aws:epochtime" => Some(Found::Seconds(context.now().seconds())),
            "aws:viaawsservice" => Some(truth(values_of(context, "aws:CalledVia").next().is_some())),
            "aws:principalisawsservice" => Some(truth(false)),
            "aws:resourceaccount" | "s3:resourceaccount" => self.resource_account.map(Found::borrowed),
            "aws:username" => {
                // The root of an account has none (IAM User Guide, "Where you can use policy variables").
                let user = self.principal.filter(|principal| principal.role.is_none() && !principal.is_named_root);
                user.map(|principal| Found::borrowed(&principal.user_name))
            }
            "aws:userid" => Some(Found::Text(self.principal.map_or(Cow::Borrowed("anonymous"), Principal::unique_id))),
            "aws:principaltype" => Some(Found::borrowed(match self.principal {
                None => "Anonymous",
                Some(principal) if principal.role.is_some() => "AssumedRole",
                Some(principal) if principal.is_named_root => "Account",
                Some(_) => "User",
            })),
            "aws:principalarn" => {
                let arn = |principal: &Principal| self.principal_arn.get_or_init(|| principal.arn()).as_str();
                self.principal.map(|principal| Found::borrowed(arn(principal)))
            }
            "aws:principalaccount" => self.principal.map(|principal| Found::borrowed(&principal.account_id)),
            _ => self.of_session(lower).or_else(|| self.tag_of_principal(lower)),
        }
    }

    /// What only temporary credentials have.
    fn of_session(&self, lower: &str) -> Option<Found<'_>> {
        let session = self.principal?.session.as_ref()?;
        match lower {
            // The node knows no second factor.
            "aws:multifactorauthpresent" => Some(Found::borrowed("false")),
            "aws:tokenissuetime" => Some(Found::Time(session.issued_at)),
            "aws:federatedprovider" => session.provider.as_deref().map(Found::borrowed),
            "aws:sourceidentity" => session.source_identity.as_deref().map(Found::borrowed),
            _ => None,
        }
    }

    /// A tag of the session stands in for one of the user or role.
    fn tag_of_principal(&self, lower: &str) -> Option<Found<'_>> {
        let key = lower.strip_prefix("aws:principaltag/")?;
        let principal = self.principal?;
        let session = principal.session.iter().flat_map(|session| session.tags.iter());
        let mut all = session.chain(principal.tags.iter());
        all.find(|(name, _)| name.eq_ignore_ascii_case(key)).map(|(_, value)| Found::borrowed(value))
    }
}
