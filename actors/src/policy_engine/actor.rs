//! The single writer of `bucket_policies.json`.

use actix::{Actor, Context, Handler};
use serde_json::{Map, Value};

use super::changes;
use super::error::{InvalidPolicy, PolicyError};
use super::messages::{DeleteBucketPolicy, PutBucketPolicy, Reload};
use super::parse::parse_bucket_policy;
use super::policies::{AS_PUT, PolicyFile};
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
        for (index, statement) in document.statements.iter().enumerate() {
            let mut names = statement.principals.iter().flat_map(|principals| principals.bare_names());
            if let Some(name) = names.find(|name| !self.iam.is_known(name)) {
                let place = format!("Statement[{index}].Principal");
                return Err(malformed(InvalidPolicy::new(place, format!("`{name}` is no principal of this node"))));
            }
        }
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
            set_as_put(file, name, as_put.clone());
        })
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
            set_as_put(file, message.bucket.as_str(), None);
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

/// Keeps the text of a policy where it is not simply the compact form of what stands in `policies`; drops an earlier one.
fn set_as_put(file: &mut Value, bucket: &str, text: Option<Value>) {
    let is_there = file.get(AS_PUT).is_some();
    match text {
        Some(text) => edit_member(file, AS_PUT, |texts| {
            texts.insert(bucket.to_owned(), text);
        }),
        None if is_there => edit_member(file, AS_PUT, |texts| {
            texts.shift_remove(bucket);
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
