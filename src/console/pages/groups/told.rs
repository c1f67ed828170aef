//! Groups and managed policies as the routes below `/_myfsio/iam` tell them.

use actix_web::http::Method;
use serde::Deserialize;
use serde_json::Value;

use crate::console::failure::Failure;
use crate::console::links;
use crate::console::units::legible;
use crate::console::visit::{Visit, read};

/// Lines of an editor, at least and at most.
const EDITOR_LINES: (usize, usize) = (8, 30);

/// A group.
#[derive(Debug, Clone, Deserialize)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// Its ARN.
    pub arn: String,
    /// Whether it is in the file for every account, where it is changed by hand only.
    pub is_of_every_account: bool,
    /// Who is in it.
    pub members: Vec<Member>,
    /// Its own policies.
    pub policies: Vec<Inline>,
    /// ARNs of managed policies.
    pub attached_policies: Vec<String>,
}

/// Somebody in a group.
#[derive(Debug, Clone, Deserialize)]
pub struct Member {
    /// Id of the user.
    pub user_id: String,
    /// Its name for people.
    pub display_name: String,
}

/// A policy of one holder.
#[derive(Debug, Clone, Deserialize)]
pub struct Inline {
    /// Its name.
    pub name: String,
    /// The document.
    pub document: Value,
}

/// A managed policy.
#[derive(Debug, Clone, Deserialize)]
pub struct Policy {
    /// Its name.
    pub name: String,
    /// Its ARN.
    pub arn: String,
    /// What it is for.
    pub description: Option<String>,
    /// The version in force.
    pub default_version_id: String,
    /// When the version in force changed last.
    pub updated_at: Option<String>,
    /// Whether it is the account's own.
    pub is_own: bool,
    /// Whether every node has it.
    pub is_of_aws: bool,
    /// Why it denies everything.
    pub problem: Option<String>,
    /// To whom it is attached.
    pub holders: Vec<Holder>,
    /// Its versions.
    #[serde(default)]
    pub versions: Vec<Version>,
}

/// To whom a policy is attached.
#[derive(Debug, Clone, Deserialize)]
pub struct Holder {
    /// `user`, `group` or `role`.
    pub kind: String,
    /// Its name for people.
    pub name: String,
    /// By what its routes know it.
    pub id: String,
}

/// A version of a managed policy.
#[derive(Debug, Clone, Deserialize)]
pub struct Version {
    /// Its id.
    pub version_id: String,
    /// When it was made.
    pub created_at: Option<String>,
    /// The document.
    pub document: Value,
}

/// Something to choose: its value and its word.
pub type Choice = (String, String);

/// A route below `/_myfsio/iam`.
pub fn route(parts: &[&str]) -> String {
    let mut route = String::from("/_myfsio/iam");
    for part in parts {
        route.push('/');
        route.push_str(&links::encode(part));
    }
    route
}

/// The page of a group.
pub fn group_page(name: &str) -> String {
    links::link(&["groups", name], &[])
}

/// The page of a managed policy.
pub fn policy_page(arn: &str) -> String {
    links::link(&["policies", "policy"], &[("arn", arn)])
}

#[derive(Deserialize)]
struct Policies {
    policies: Vec<Policy>,
}

/// The managed policies that the asker may list: the account's own first.
pub async fn policies(visit: &Visit) -> Result<Vec<Policy>, Failure> {
    let told = visit.asker()?.json(Method::GET, &route(&["policies"]), None).await?;
    let Policies { mut policies } = read(told)?;
    policies.sort_by_key(|policy| (policy.is_of_aws, policy.name.to_lowercase()));
    Ok(policies)
}

/// Managed policies to choose from, without those that are there already.
pub async fn offered(visit: &Visit, attached: &[String]) -> Vec<Choice> {
    let policies = policies(visit).await.unwrap_or_default();
    let others = policies.into_iter().filter(|policy| !attached.contains(&policy.arn));
    others.map(|policy| (policy.arn, legible(&policy.name))).collect()
}

#[derive(Deserialize)]
struct Users {
    users: Vec<Listed>,
}

#[derive(Deserialize)]
struct Listed {
    user_id: String,
    account_id: String,
    display_name: String,
}

/// The users of the asker's account, to choose from.
pub async fn users(visit: &Visit) -> Vec<Choice> {
    let Ok(asker) = visit.asker() else { return Vec::new() };
    let told = asker.json(Method::GET, &route(&["users"]), None).await.unwrap_or_default();
    let Users { users } = serde_json::from_value(told).unwrap_or(Users { users: Vec::new() });
    let account_id = &asker.principal().account_id;
    let own = users.into_iter().filter(|user| user.account_id == *account_id);
    own.map(|user| (user.user_id, legible(&user.display_name))).collect()
}

/// A document for people.
pub fn pretty(document: &Value) -> String {
    serde_json::to_string_pretty(document).unwrap_or_default()
}

/// Lines of the editor of a text.
pub fn lines(text: &str) -> usize {
    text.lines().count().clamp(EDITOR_LINES.0, EDITOR_LINES.1)
}

/// The name in an ARN.
pub fn name_of(arn: &str) -> &str {
    arn.rsplit('/').next().unwrap_or(arn)
}

/// A document as it is typed. Errs: it is no JSON, or has a name twice, of which parsers keep one.
pub fn parse_document(text: &str) -> Result<Value, String> {
    myfsio_actors::policy_engine::refuse_ambiguous(text)
        .and_then(|()| serde_json::from_str(text))
        .map_err(|error| error.to_string())
}
