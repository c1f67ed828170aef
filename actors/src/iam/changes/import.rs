//! Taking in users, groups and managed policies from a document ([`Accounts`]): all of it or nothing.
//!
//! It is made of the changes that each of them is otherwise asked for, stage by stage, so that it keeps every rule that those keep.
//! Nothing is ever removed that the document does not name; whoever it names is then as the document says.

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::attach::{ATTACHED_MAX, AttachPolicy, DetachPolicy};
use super::groups::{CreateGroup, UpdateGroup};
use super::import_plan::{ImportPlan, Imported, Outcome, differ, of};
use super::inline::SetPolicies;
use super::managed::{CreatePolicy, CreatePolicyVersion};
use super::tags::tags_value;
use super::user_quota::SetUserQuota;
use super::users::{CreateUser, UpdateUser};
use crate::iam::build::build;
use crate::iam::directory::Directory;
use crate::iam::document::{record, set};
use crate::iam::entries::{Holder, Named, WhichUser};
use crate::iam::error::IamError;
use crate::iam::grants::Permission;
use crate::iam::messages::{Draft, IamChange};
use crate::iam::naming::Kind;
use crate::iam::portable::{Accounts, PortableGroup, PortablePolicy, PortableUser, names_of};
use crate::iam::records::FileRecord;
use crate::names::CanonicalId;

/// How an import is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImportMode {
    /// Only to be told.
    Preview,
    /// To be done.
    Apply,
    /// To be done if a preview with this stamp still holds; else only to be told.
    ApplyIf(String),
}

/// Takes a document in. Errs: whatever each of its changes would be refused with, naming what it was; then nothing has changed.
#[derive(Debug, Clone)]
pub struct ImportAccounts {
    /// The account that takes it in.
    pub account_id: String,
    /// Who asks, and is not changed by it.
    pub caller: CanonicalId,
    /// The document.
    pub accounts: Accounts,
    /// How it is meant.
    pub mode: ImportMode,
}

/// What an import may come to do: whoever asks for one has the permission for all of it, by a grant.
const ACTIONS: [(&str, Kind); 16] = [
    ("iam:CreatePolicy", Kind::Policy),
    ("iam:CreatePolicyVersion", Kind::Policy),
    ("iam:CreateGroup", Kind::Group),
    ("iam:UpdateGroup", Kind::Group),
    ("iam:PutGroupPolicy", Kind::Group),
    ("iam:AttachGroupPolicy", Kind::Group),
    ("iam:DetachGroupPolicy", Kind::Group),
    ("iam:AddUserToGroup", Kind::Group),
    ("iam:RemoveUserFromGroup", Kind::Group),
    ("iam:CreateUser", Kind::User),
    ("iam:TagUser", Kind::User),
    ("iam:UntagUser", Kind::User),
    ("iam:UpdateUser", Kind::User),
    ("iam:PutUserPolicy", Kind::User),
    ("iam:AttachUserPolicy", Kind::User),
    ("iam:DetachUserPolicy", Kind::User),
];

impl IamChange for ImportAccounts {
    type Answer = ImportPlan;

    fn action(&self) -> &'static str {
        "myfsio:ImportAccounts"
    }

    fn takes_by_grant(&self, _directory: &Directory, _caller: &CanonicalId) -> Vec<Permission> {
        let permission = |(action, kind): (&'static str, Kind)| Permission {
            action,
            resource: kind.arn(&self.account_id, "/", "*"),
        };
        ACTIONS.into_iter().map(permission).collect()
    }

    fn tells_each(&self) -> bool {
        true
    }

    fn apply(&self, draft: &mut Draft<'_>) -> Result<ImportPlan, IamError> {
        draft.target = format!("arn:aws:iam::{}:root", self.account_id);
        let stamp = self.stamp(draft.directory);
        let items = self.plan(draft.directory)?;
        // A preview tells the refusals, too.
        let mut document = draft.document.clone();
        self.carry_out(&items, &mut document, draft)?;
        let is_done = match &self.mode {
            ImportMode::Preview => false,
            ImportMode::Apply => true,
            ImportMode::ApplyIf(seen) => *seen == stamp,
        };
        if is_done {
            *draft.document = document;
        }
        Ok(ImportPlan { items, stamp, is_done })
    }
}

impl ImportAccounts {
    fn stamp(&self, directory: &Directory) -> String {
        let mut digest = Sha256::new();
        digest.update(Accounts::of(directory, &self.account_id, None).to_value().to_string());
        digest.update([0]);
        digest.update(self.accounts.to_value().to_string());
        hex::encode(digest.finalize())
    }

    pub(super) fn named(&self, name: &str) -> Named {
        Named::new(&self.account_id, name)
    }

    /// Does on a document what the plan says; `draft` is what was before.
    fn carry_out(&self, items: &[Imported], document: &mut Value, draft: &Draft<'_>) -> Result<(), IamError> {
        let planned = |kind: &str, name: &str| items.iter().find(|item| item.kind == kind && item.name == name);
        let is_to =
            |kind: &str, name: &str, outcome: Outcome| planned(kind, name).is_some_and(|item| item.outcome == outcome);
        let mut steps = Steps { document, compiled: None, draft };
        for policy in &self.accounts.policies {
            let name = &policy.name;
            let step = match () {
                () if is_to("policy", name, Outcome::Created) => steps.apply(&self.new_policy(policy)).map(drop),
                () if is_to("policy", name, Outcome::Changed) => steps.apply(&self.new_version(policy)).map(drop),
                () => Ok(()),
            };
            step.map_err(|error| of("policy", name, error))?;
        }
        for group in self.accounts.groups.iter().filter(|group| is_to("group", &group.name, Outcome::Created)) {
            let made = CreateGroup { group: self.named(&group.name), path: Some(group.path.clone()) };
            steps.apply(&made).map_err(|error| of("group", &group.name, error))?;
        }
        for user in self.accounts.users.iter().filter(|user| is_to("user", &user.user_name, Outcome::Created)) {
            steps.apply(&self.new_user(user)).map_err(|error| of("user", &user.user_name, error))?;
        }
        // What follows refers to what was just made.
        steps.compile()?;
        for group in &self.accounts.groups {
            let is_asked =
                is_to("group", &group.name, Outcome::Created) || is_to("group", &group.name, Outcome::Changed);
            if is_asked {
                self.settle_group(&mut steps, group).map_err(|error| of("group", &group.name, error))?;
            }
        }
        for user in &self.accounts.users {
            let name = &user.user_name;
            if is_to("user", name, Outcome::Created) || is_to("user", name, Outcome::Changed) {
                self.settle_user(&mut steps, user).map_err(|error| of("user", name, error))?;
            }
        }
        steps.compile()
    }

    fn new_policy(&self, policy: &PortablePolicy) -> CreatePolicy {
        CreatePolicy {
            policy: self.named(&policy.name),
            path: Some(policy.path.clone()),
            description: policy.description.clone(),
            document: policy.document.to_string(),
            tags: Vec::new(),
        }
    }

    fn new_version(&self, policy: &PortablePolicy) -> CreatePolicyVersion {
        CreatePolicyVersion {
            account_id: self.account_id.clone(),
            arn: Kind::Policy.arn(&self.account_id, &policy.path, &policy.name),
            document: policy.document.to_string(),
            set_as_default: true,
        }
    }

    fn new_user(&self, user: &PortableUser) -> CreateUser {
        CreateUser {
            account_id: Some(self.account_id.clone()),
            display_name: Some(user.shown_name().to_owned()),
            user_name: Some(user.user_name.clone()),
            path: Some(user.path.clone()),
            with_key: false,
            by_grant: true,
            ..CreateUser::default()
        }
    }

    fn settle_group(&self, steps: &mut Steps<'_, '_>, wanted: &PortableGroup) -> Result<(), IamError> {
        let own = super::groups::own_group(steps.directory(), &self.account_id, &wanted.name)?.clone();
        if own.path != wanted.path {
            let message =
                UpdateGroup { group: self.named(&wanted.name), new_name: None, new_path: Some(wanted.path.clone()) };
            steps.apply(&message)?;
        }
        set(record(steps.document, "groups", own.place)?, "policies", Some(wanted.policies.clone()));
        let holder = Holder::Group(self.named(&wanted.name));
        self.attach(steps, &holder, &own.attached_policies, &wanted.attached_policies)
    }

    fn settle_user(&self, steps: &mut Steps<'_, '_>, wanted: &PortableUser) -> Result<(), IamError> {
        let which = WhichUser::Named(self.named(&wanted.user_name));
        let own = steps.directory().user(&which)?.clone();
        let which = WhichUser::Called(own.user_id.as_str().to_owned());
        let message = UpdateUser {
            display_name: Some(wanted.shown_name().to_owned()).filter(|name| *name != own.display_name),
            path: Some(wanted.path.clone()).filter(|path| *path != own.path),
            enabled: Some(wanted.enabled).filter(|enabled| *enabled != own.is_enabled),
            expires_at: Some(wanted.end()?).filter(|end| *end != own.expires_at),
            groups: differ(&own.groups, &wanted.groups).then(|| wanted.groups.clone()),
            ..UpdateUser::new(which.clone())
        };
        steps.apply(&message)?;
        if own.policies != wanted.policies {
            steps.apply(&SetPolicies { user: which.clone(), policies: wanted.policies.clone() })?;
        }
        let tags: Vec<_> = wanted.tags.clone().into_iter().collect();
        let tags = tags_value(&[], &tags, "TagsPerUser")?;
        let (place, _) = steps.directory().find_user(&which)?;
        set(record(steps.document, "users", place)?, "tags", tags);
        if own.quota != wanted.quota {
            steps.apply(&SetUserQuota { user: which.clone(), quota: wanted.quota })?;
        }
        self.attach(steps, &Holder::User(which), &own.attached_policies, &wanted.attached_policies)
    }

    /// Attaches and detaches managed policies until these are attached.
    fn attach(
        &self,
        steps: &mut Steps<'_, '_>,
        holder: &Holder,
        own: &[String],
        wanted: &[String],
    ) -> Result<(), IamError> {
        if wanted.len() > ATTACHED_MAX {
            return Err(IamError::LimitExceeded(format!("Cannot attach more than {ATTACHED_MAX} managed policies.")));
        }
        let has = names_of(own, &self.account_id);
        for (arn, _) in own.iter().zip(&has).filter(|(_, name)| !wanted.contains(name)) {
            steps.apply(&DetachPolicy { holder: holder.clone(), policy_arn: arn.clone() })?;
        }
        for name in wanted.iter().filter(|name| !has.contains(name)) {
            let policy_arn = self.arn_of(steps.directory(), name)?;
            steps.apply(&AttachPolicy { holder: holder.clone(), policy_arn })?;
        }
        Ok(())
    }

    /// The ARN of a managed policy that a document names.
    fn arn_of(&self, directory: &Directory, name: &str) -> Result<String, IamError> {
        if name.starts_with("arn:") {
            return Ok(name.to_owned());
        }
        let found = directory.managed_policies_of(&self.account_id).find(|own| own.name.eq_ignore_ascii_case(name));
        let missing = || IamError::NoSuchEntity(format!("There is no managed policy {name}."));
        found.map(|own| own.arn(&self.account_id)).ok_or_else(missing)
    }
}

/// Changes one after the other, on a document of their own.
struct Steps<'a, 'b> {
    document: &'a mut Value,
    /// What the document says, as of the last stage.
    compiled: Option<Directory>,
    draft: &'a Draft<'b>,
}

impl Steps<'_, '_> {
    fn directory(&self) -> &Directory {
        self.compiled.as_ref().unwrap_or(self.draft.directory)
    }

    fn apply<M: IamChange>(&mut self, message: &M) -> Result<M::Answer, IamError> {
        let directory = self.compiled.as_ref().unwrap_or(self.draft.directory);
        let (now, sealer) = (self.draft.now, self.draft.sealer);
        message.apply(&mut Draft { document: &mut *self.document, directory, now, sealer, target: String::new() })
    }

    /// What the document says now. Errs: it says nothing that could be.
    fn compile(&mut self) -> Result<(), IamError> {
        let refused = |reason: String| IamError::invalid("document", reason);
        let file: FileRecord =
            serde_json::from_value(self.document.clone()).map_err(|error| refused(error.to_string()))?;
        self.compiled = Some(build(&file, self.draft.sealer).map_err(|problem| refused(problem.reason))?);
        Ok(())
    }
}
