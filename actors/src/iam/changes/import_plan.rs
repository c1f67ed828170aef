//! What an import would do with each thing that its document names. Pure.

use super::import::ImportAccounts;
use super::policies::check_policies;
use crate::iam::directory::Directory;
use crate::iam::entries::{UserSummary, WhichUser};
use crate::iam::error::IamError;
use crate::iam::naming::Kind;
use crate::iam::portable::{PortableGroup, PortablePolicy, PortableUser, document_of, names_of};

/// What becomes of something that a document names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It is not there yet.
    Created,
    /// It is there, and something of it is another.
    Changed,
    /// It is as the document says.
    Same,
    /// It is the account itself or whoever asks, which no document changes.
    Kept,
}

/// Something that a document names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// `policy`, `group` or `user`.
    pub kind: &'static str,
    /// Its name.
    pub name: String,
    /// What becomes of it.
    pub outcome: Outcome,
    /// What of it is another, where it is changed.
    pub fields: Vec<&'static str>,
}

/// What an import does, or would do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportPlan {
    /// In the order of the document: policies, groups, users.
    pub items: Vec<Imported>,
    /// Names the document and what is there; another as soon as either is.
    pub stamp: String,
    /// Whether it was done.
    pub is_done: bool,
}

/// Says of which part of the document a refusal is.
pub(super) fn of(kind: &'static str, name: &str, error: IamError) -> IamError {
    IamError::invalid("document", format!("{kind} `{name}`: {error}"))
}

impl ImportAccounts {
    fn user<'a>(&self, directory: &'a Directory, name: &str) -> Option<&'a UserSummary> {
        directory.user(&WhichUser::Named(self.named(name))).ok()
    }

    /// What becomes of each.
    pub(super) fn plan(&self, directory: &Directory) -> Result<Vec<Imported>, IamError> {
        let policies =
            self.accounts.policies.iter().map(|policy| ("policy", &policy.name, self.policy_plan(directory, policy)));
        let groups = self.accounts.groups.iter().map(|group| ("group", &group.name, self.group_plan(directory, group)));
        let users = self.accounts.users.iter().map(|user| ("user", &user.user_name, self.user_plan(directory, user)));
        let told = |(kind, name, plan): (&'static str, &String, Result<_, IamError>)| {
            let (outcome, fields) = plan.map_err(|error| of(kind, name, error))?;
            Ok::<_, IamError>(Imported { kind, name: name.clone(), outcome, fields })
        };
        policies.chain(groups).chain(users).map(told).collect()
    }

    fn policy_plan(
        &self,
        directory: &Directory,
        wanted: &PortablePolicy,
    ) -> Result<(Outcome, Vec<&'static str>), IamError> {
        let arn = Kind::Policy.arn(&self.account_id, &wanted.path, &wanted.name);
        Ok(
            match directory
                .managed_policies_of(&self.account_id)
                .find(|own| own.name.eq_ignore_ascii_case(&wanted.name))
            {
                None => (Outcome::Created, Vec::new()),
                Some(own) if own.arn(&self.account_id) != arn => {
                    return Err(IamError::EntityAlreadyExists("It is there with another path or spelling.".to_owned()));
                }
                Some(own) => changed([("document", document_of(own) != wanted.document)]),
            },
        )
    }

    fn group_plan(
        &self,
        directory: &Directory,
        wanted: &PortableGroup,
    ) -> Result<(Outcome, Vec<&'static str>), IamError> {
        check_policies(&wanted.policies)?;
        let Ok(own) = super::groups::own_group(directory, &self.account_id, &wanted.name) else {
            return Ok((Outcome::Created, Vec::new()));
        };
        Ok(changed([
            ("path", own.path != wanted.path),
            ("policies", own.policies != wanted.policies),
            (
                "attached_policies",
                differ(&names_of(&own.attached_policies, &self.account_id), &wanted.attached_policies),
            ),
        ]))
    }

    fn user_plan(
        &self,
        directory: &Directory,
        wanted: &PortableUser,
    ) -> Result<(Outcome, Vec<&'static str>), IamError> {
        let Some(user) = self.user(directory, &wanted.user_name) else { return Ok((Outcome::Created, Vec::new())) };
        if user.is_root || user.user_id == self.caller {
            return Ok((Outcome::Kept, Vec::new()));
        }
        let own = PortableUser::of(user, &self.account_id);
        Ok(changed([
            ("display_name", own.shown_name() != wanted.shown_name()),
            ("path", own.path != wanted.path),
            ("enabled", own.enabled != wanted.enabled),
            ("expires_at", own.end()? != wanted.end()?),
            ("policies", own.policies != wanted.policies),
            ("groups", differ(&own.groups, &wanted.groups)),
            ("attached_policies", differ(&own.attached_policies, &wanted.attached_policies)),
            ("tags", own.tags != wanted.tags),
            ("quota", own.quota != wanted.quota),
        ]))
    }
}

/// The fields that are another.
fn changed<const N: usize>(fields: [(&'static str, bool); N]) -> (Outcome, Vec<&'static str>) {
    let fields: Vec<_> = fields.into_iter().filter_map(|(name, differs)| differs.then_some(name)).collect();
    (if fields.is_empty() { Outcome::Same } else { Outcome::Changed }, fields)
}

/// Whether two lists of names hold others; their order tells nothing.
pub(super) fn differ(one: &[String], other: &[String]) -> bool {
    let sorted = |list: &[String]| {
        let mut names: Vec<String> = list.to_vec();
        names.sort_unstable();
        names.dedup();
        names
    };
    sorted(one) != sorted(other)
}
