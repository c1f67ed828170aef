//! The single writer of `bucket_policies.json`.

use actix::{Actor, Context, Handler};
use serde_json::{Map, Value};

use super::changes;
use super::document::Document;
use super::error::{InvalidPolicy, PolicyError};
use super::messages::{DeleteBucketPolicy, PutBucketPolicy, Reload};
use super::parse::parse_bucket_policy;
use super::policies::{AS_PUT, PRINCIPALS, PolicyFile};
use crate::audit::ChangeOrigin;
use crate::clock::SharedClock;
use crate::iam::IamClient;
use crate::json_store::JsonStore;

/// Owns the bucket policies.
#[derive(Debug)]
pub struct PolicyEngine {
    store: JsonStore<PolicyFile>,
    iam: IamClient,
    clock: SharedClock,
}

impl PolicyEngine {
    pub(super) fn new(store: JsonStore<PolicyFile>, iam: IamClient, clock: SharedClock) -> Self {
        Self { store, iam, clock }
    }

    fn put(&mut self, message: &PutBucketPolicy) -> Result<(), PolicyError> {
        let malformed = |source| PolicyError::Malformed { bucket: message.bucket.clone(), source };
        let (value, document) = parse_bucket_policy(&message.text, &message.bucket).map_err(malformed)?;
        if let Some((index, key)) = document.idle_condition() {
            let reason =
                format!("Conditions do not apply to combination of actions and resources in statement: `{key}`");
            return Err(malformed(InvalidPolicy::new(format!("Statement[{index}].Condition"), reason)));
        }
        if let Some((index, action)) = document.idle_denial(&format!("arn:aws:s3:::{}", message.bucket)) {
            let reason = format!("Action does not apply to any resource(s) in statement: `{action}`");
            return Err(malformed(InvalidPolicy::new(format!("Statement[{index}].Action"), reason)));
        }
        let ids = self.ids_of_principals(&document).map_err(malformed)?;
        if message.refuse_public && document.is_public() {
            return Err(PolicyError::Public { bucket: message.bucket.clone() });
        }
        let name = message.bucket.as_str();
        let compacted = value.to_string();
        let as_put = (compacted != message.text).then(|| Value::from(message.text.as_str()));
        self.edit(Some(&message.by), |file| {
            edit_member(file, "policies", |policies| {
                policies.insert(name.to_owned(), value.clone());
            });
            set_beside(file, AS_PUT, name, as_put.clone());
            set_beside(file, PRINCIPALS, name, ids.clone());
        })
    }

    /// The canonical ids of the users and roles that a policy names, by name; none of none. Errs: a name that means nobody.
    fn ids_of_principals(&self, document: &Document) -> Result<Option<Value>, InvalidPolicy> {
        let directory = self.iam.directory();
        let mut ids = Map::new();
        for (index, text) in document.principals() {
            let Some(id) = directory.id_of_principal(&text) else {
                let place = format!("Statement[{index}].Principal");
                return Err(InvalidPolicy::new(
                    place,
                    format!("Invalid principal in policy: `{text}` is nobody on this node"),
                ));
            };
            ids.insert(text, Value::from(id.as_str()));
        }
        Ok((!ids.is_empty()).then_some(Value::Object(ids)))
    }

    fn delete(&mut self, message: &DeleteBucketPolicy) -> Result<(), PolicyError> {
        let has_policy =
            |file: &Value| file.get("policies").is_some_and(|all| all.get(message.bucket.as_str()).is_some());
        self.store.reload(self.clock.now());
        if !has_policy(self.store.document()) && self.store.snapshot().load().problem.is_none() {
            return Ok(());
        }
        self.edit(message.by.as_ref(), |file| {
            edit_member(file, "policies", |policies| {
                policies.shift_remove(message.bucket.as_str());
            });
            for beside in [AS_PUT, PRINCIPALS] {
                set_beside(file, beside, message.bucket.as_str(), None);
            }
        })
    }

    /// Changes the file and tells the audit log.
    fn edit(&mut self, by: Option<&ChangeOrigin>, change: impl Fn(&mut Value)) -> Result<(), PolicyError> {
        let now = self.clock.now();
        let edited = self.store.edit_and_tell(now, |file| {
            change(file);
            Ok::<(), PolicyError>(())
        })?;
        if let (Some(by), Some((before, _))) = (by, edited.before) {
            let entries = changes::entries(&before, self.store.document(), now, by);
            self.store.schema().audit.record_blocking(entries);
        }
        Ok(())
    }
}

/// Changes an object in the file's document; the schema has checked that it is one, or absent.
fn edit_member(file: &mut Value, name: &str, change: impl FnOnce(&mut Map<String, Value>)) {
    if let Value::Object(file) = file
        && let Value::Object(member) = file.entry(name).or_insert_with(|| Value::Object(Map::new()))
    {
        change(member);
    }
}

/// Keeps what goes with a bucket's policy in another object of the file, or drops what was kept there.
fn set_beside(file: &mut Value, member: &str, bucket: &str, kept: Option<Value>) {
    let is_there = file.get(member).is_some();
    match kept {
        Some(kept) => edit_member(file, member, |all| {
            all.insert(bucket.to_owned(), kept);
        }),
        None if is_there => edit_member(file, member, |all| {
            all.shift_remove(bucket);
        }),
        None => {}
    }
}

impl Actor for PolicyEngine {
    type Context = Context<Self>;
}

impl Handler<Reload> for PolicyEngine {
    type Result = Result<(), PolicyError>;

    fn handle(&mut self, _: Reload, _: &mut Self::Context) -> Self::Result {
        let before = self.store.snapshot().load_full();
        self.store.reload(self.clock.now());
        let after = self.store.snapshot().load_full();
        if !std::sync::Arc::ptr_eq(&before.state, &after.state) {
            super::client::log_broken(&after.state);
        }
        Ok(())
    }
}

impl Handler<PutBucketPolicy> for PolicyEngine {
    type Result = Result<(), PolicyError>;

    fn handle(&mut self, message: PutBucketPolicy, _: &mut Self::Context) -> Self::Result {
        self.put(&message)
    }
}

impl Handler<DeleteBucketPolicy> for PolicyEngine {
    type Result = Result<(), PolicyError>;

    fn handle(&mut self, message: DeleteBucketPolicy, _: &mut Self::Context) -> Self::Result {
        self.delete(&message)
    }
}
