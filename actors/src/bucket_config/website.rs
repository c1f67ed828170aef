//! Static websites (S3 User Guide, "Hosting a static website").

use serde::{Deserialize, Serialize};

/// A bucket's website.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Website {
    /// Suffix of folders' index documents.
    pub index_suffix: Option<String>,
    /// Key of the error document.
    pub error_key: Option<String>,
    /// Sends everything elsewhere; excludes all else.
    pub redirect_all: Option<RedirectAll>,
    /// Redirects, tried in order.
    pub routing_rules: Vec<RoutingRule>,
}

/// Where everything is sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RedirectAll {
    /// The host.
    pub host_name: String,
    /// `http` or `https`; absent means that of the request.
    pub protocol: Option<String>,
}

/// One redirect.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct RoutingRule {
    /// When; absent means always.
    pub condition: Option<RoutingCondition>,
    /// Where to.
    pub redirect: Redirect,
}

/// When a redirect is taken: all that is given must hold.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct RoutingCondition {
    /// The key begins with this.
    pub key_prefix: Option<String>,
    /// The request would be answered with this HTTP status.
    pub error_code: Option<u16>,
}

/// Where a redirect leads.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Redirect {
    /// Another host.
    pub host_name: Option<String>,
    /// `http` or `https`.
    pub protocol: Option<String>,
    /// Replaces the prefix of the condition.
    pub replace_key_prefix: Option<String>,
    /// Replaces the whole key.
    pub replace_key: Option<String>,
    /// HTTP status; absent means 301.
    pub http_code: Option<u16>,
}
