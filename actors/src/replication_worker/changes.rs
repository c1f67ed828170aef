//! Changes of connections and rules: what the files are to say, and what the audit log is told.

use std::sync::Arc;

use super::actor::ReplicationWorker;
use super::connections::{self, Connection, ConnectionsFile};
use super::draft::{drafted, random_id};
use super::error::ReplicationError;
use super::learned::{self, Fill, Learned};
use super::messages::ConnectionDraft;
use super::rules::{self, Rule};
use crate::audit::{AuditLog, ChangeOrigin};
use crate::names::{BucketName, Stamp};
use crate::storage::StorageError;

impl ReplicationWorker {
    pub(super) fn put_connection(
        &mut self,
        by: &ChangeOrigin,
        draft: ConnectionDraft,
    ) -> Result<Arc<Connection>, ReplicationError> {
        let (now, sealer) = (self.tools.clock.now(), self.tools.sealer.clone());
        let new_id = random_id()?;
        let schema = ConnectionsFile { sealer: sealer.clone(), audit: AuditLog::nowhere() };
        let edited = self.connections.edit_and_tell(now, |file| {
            let (_, known) = crate::json_store::compile(&schema, &file.to_string())
                .map_err(|mistake| ReplicationError::Invalid(mistake.reason))?;
            let connection = drafted(&known, draft.clone(), &new_id)?;
            connections::put(file, &connection, &sealer)?;
            Ok::<_, ReplicationError>(connection.id)
        })?;
        if let Some((before, _)) = &edited.before {
            let entries = super::audit::connections(before, self.connections.document(), &sealer, now, by);
            self.tools.audit.record_blocking(entries);
        }
        let id = edited.answer;
        let snapshot = self.connections.snapshot().load_full();
        snapshot.state.get(&id).cloned().ok_or_else(|| ReplicationError::NoSuchConnection(id.to_string()))
    }

    pub(super) fn delete_connection(&mut self, by: &ChangeOrigin, id: &str) -> Result<(), ReplicationError> {
        let now = self.tools.clock.now();
        self.connections.reload(now);
        self.rules.reload(now);
        if self.connections.snapshot().load().state.get(id).is_none() {
            return Err(ReplicationError::NoSuchConnection(id.to_owned()));
        }
        let rules = self.rules.snapshot().load_full();
        if let Some(rule) = rules.state.all().find(|rule| *rule.connection == *id) {
            return Err(ReplicationError::ConnectionInUse(rule.bucket.to_string()));
        }
        let edited = self.connections.edit_and_tell(now, |file| {
            connections::remove(file, id);
            Ok::<_, ReplicationError>(())
        })?;
        if let Some((before, _)) = &edited.before {
            let entries = super::audit::connections(before, self.connections.document(), &self.tools.sealer, now, by);
            self.tools.audit.record_blocking(entries);
        }
        Ok(())
    }

    /// Changes the rules and tells the audit log.
    pub(super) fn edit_rules(
        &mut self,
        by: Option<&ChangeOrigin>,
        change: impl FnMut(&mut serde_json::Value) -> Result<(), ReplicationError>,
    ) -> Result<(), ReplicationError> {
        let now = self.tools.clock.now();
        let edited = self.rules.edit_and_tell(now, change)?;
        if let (Some(by), Some((before, _))) = (by, &edited.before) {
            self.tools.audit.record_blocking(super::audit::rules(before, self.rules.document(), now, by));
        }
        Ok(())
    }

    pub(super) fn rule(&self, bucket: &BucketName) -> Result<Arc<Rule>, ReplicationError> {
        let rules = self.rules.snapshot().load_full();
        rules.state.get(bucket).cloned().ok_or_else(|| ReplicationError::NoSuchRule(bucket.clone()))
    }

    pub(super) fn put_rule(&mut self, by: &ChangeOrigin, mut rule: Rule) -> Result<Arc<Rule>, ReplicationError> {
        let now = self.tools.clock.now();
        self.connections.reload(now);
        self.rules.reload(now);
        let connection = self.connections.snapshot().load().state.find(&rule.connection).cloned();
        let connection = connection.ok_or_else(|| ReplicationError::NoSuchConnection(rule.connection.to_string()))?;
        rule.connection = Arc::clone(&connection.id);
        rule.created_at = Stamp(now.0 / 1_000_000 * 1_000_000);
        let former = self.rule(&rule.bucket).ok();
        let goes_on = former.as_ref().filter(|former| former.target() == rule.target());
        if let Some(former) = goes_on {
            rule.created_at = former.created_at;
        }
        rule.count_from(goes_on.map(|former| &**former), Stamp(now.0 / 1_000_000 * 1_000_000));
        rules::check(&rule).map_err(ReplicationError::Invalid)?;
        self.edit_rules(Some(by), |file| {
            rules::put(file, &rule);
            Ok(())
        })?;
        // What is meant now may be more than what was sent.
        let is_wider = goes_on.is_some_and(|former| former.rules() != rule.rules()) && rule.wants_existing();
        // Kept also where nothing was learned yet: so it is known to have been at work, should its bucket be gone after a crash.
        let fill = self.learned_of(&rule).fill.filter(|_| !is_wider);
        let kept = self.keep_fill(&rule, fill);
        if is_wider {
            kept?;
        }
        self.rule(&rule.bucket)
    }

    /// Forgets the rules of buckets that are gone: a crash may have come between the end of a bucket and the message that tells of it.
    /// Answers whether there were some.
    pub(super) fn forget_rules_of_nothing(&mut self) -> bool {
        let (rules, learned) = (self.rules.snapshot().load_full(), self.learned.snapshot().load_full());
        let is_gone = |rule: &&Arc<Rule>| {
            matches!(self.tools.source.bucket(&rule.bucket), Err(StorageError::NoSuchBucket { .. }))
                && learned.state.was_at_work(&rule.bucket, &rule.target(), rule.created_at)
        };
        let gone: Vec<_> = rules.state.all().filter(is_gone).map(|rule| rule.bucket.clone()).collect();
        if gone.is_empty() {
            return false;
        }
        let removed = self.edit_rules(None, |file| {
            gone.iter().for_each(|bucket| rules::remove(file, bucket));
            Ok(())
        });
        if let Err(error) = removed {
            tracing::warn!(%error, "how buckets that are gone were replicated cannot be forgotten; it is tried again");
        }
        true
    }

    pub(super) fn keep_fill(&mut self, rule: &Rule, fill: Option<Fill>) -> Result<(), ReplicationError> {
        let learned = Learned { fill, ..self.learned_of(rule) };
        self.learned.edit(self.tools.clock.now(), |file| {
            learned::keep(file, &rule.bucket, &rule.target(), rule.created_at, &learned);
            Ok::<_, ReplicationError>(())
        })
    }
}
