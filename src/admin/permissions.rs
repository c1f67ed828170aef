//! What a user may do in each bucket, and which policy decides it: every action of S3 on buckets and objects is asked of the evaluator that
//! requests use. Nothing is changed.
//!
//! Actions on objects are asked of one key, as if no object were there; nothing is told of the request that conditions could ask for
//! but the time.

use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::rt::task::spawn_blocking;
use myfsio_actors::iam::{Principal, WhichUser};
use myfsio_actors::names::{ObjectKey, Stamp};
use myfsio_actors::policy_engine::{
    AccessRequest, Capability, ObjectState, RequestContext, Trace, find_action, probe::is_about_objects,
    probe::s3_actions,
};
use myfsio_actors::storage::Bucket;
use serde::Serialize;
use serde_json::{Value, json};

use crate::decisions::{Explanation, Named, Who};
use crate::node::Node;
use crate::s3::error::{ErrorCode, S3Error};
use crate::s3::query::Query;
use crate::s3::respond::{Answer, json as json_answer, no_store};
use crate::s3::route::parse_key;

/// Buckets of an answer when nothing is said of it, and at most.
const BUCKETS: usize = 20;
const BUCKETS_MAX: usize = 100;
/// The key that actions on objects are asked of when none is named.
const KEY: &str = "example";
/// Words of the short form that are about buckets.
const WORDS: [Capability; 7] = [
    Capability::List,
    Capability::Read,
    Capability::Write,
    Capability::Delete,
    Capability::Share,
    Capability::Policy,
    Capability::Replication,
];

/// What is asked.
struct Asked {
    key: ObjectKey,
    bucket: Option<String>,
    after: String,
    limit: usize,
}

impl Asked {
    /// Errs: InvalidArgument, KeyTooLongError.
    fn of(query: &Query) -> Result<Self, S3Error> {
        let limit = |text: &str| {
            let number = text.parse::<usize>().ok().filter(|limit| (1..=BUCKETS_MAX).contains(limit));
            let message = format!("An answer has 1 to {BUCKETS_MAX} buckets.");
            number.ok_or_else(|| S3Error::invalid_argument("limit", text, message))
        };
        Ok(Self {
            key: parse_key(query.get_filled("key").unwrap_or(KEY).as_bytes())?,
            bucket: query.get_filled("bucket").map(str::to_owned),
            after: query.get("after").unwrap_or_default().to_owned(),
            limit: query.get("limit").map_or(Ok(BUCKETS), limit)?,
        })
    }

    fn wants(&self, bucket: &str) -> bool {
        bucket > self.after.as_str() && self.bucket.as_deref().is_none_or(|wanted| wanted == bucket)
    }
}

/// What is decided alike, for the same reason.
#[derive(Serialize)]
struct Decided {
    decision: &'static str,
    reason: &'static str,
    /// The statement that decides, if one does.
    by: Option<Named>,
    /// Words of the short form all of whose actions are among these.
    words: Vec<&'static str>,
    actions: Vec<&'static str>,
}

/// The answer about a user, by its id, an access key, or a name that it alone has. Errs: NoSuchEntity, InvalidArgument, KeyTooLongError;
/// SlowDown while as many others are answered as may be at once.
pub async fn of_user(node: &Arc<Node>, user: &str, query: &Query, now: Stamp) -> Answer {
    let asked = Asked::of(query)?;
    let directory = node.access.iam.fresh().await?;
    node.access.refresh().await;
    let user = directory.user(&WhichUser::Called(user.to_owned()))?;
    let principal = directory.principal_of(&user.user_id).cloned();
    let principal = principal.ok_or_else(|| S3Error::from(ErrorCode::NoSuchEntity))?;
    let place = Arc::clone(&node.simulations).try_acquire_owned().map_err(|_| S3Error::from(ErrorCode::SlowDown))?;
    let node = Arc::clone(node);
    let told = spawn_blocking(move || {
        let _place = place;
        tell(&node, &principal, &asked, now)
    });
    Ok(no_store(json_answer(StatusCode::OK, &told.await.map_err(S3Error::internal)?)))
}

fn tell(node: &Node, principal: &Principal, asked: &Asked, now: Stamp) -> Value {
    let context = RequestContext::new(now, None, false);
    let all = node.storage.buckets();
    let mut wanted = all.iter().filter(|bucket| asked.wants(bucket.name.as_str()));
    let page: Vec<_> = wanted.by_ref().take(asked.limit).collect();
    let next = wanted.next().and(page.last()).map(|last| last.name.to_string());
    let of_bucket = |bucket: &&Arc<Bucket>| {
        let decisions = decisions(node, principal, bucket, &asked.key, &context);
        json!({ "bucket": bucket.name.as_str(), "decisions": decisions })
    };
    let buckets: Vec<_> = page.iter().map(of_bucket).collect();
    json!({ "principal": Who::of(Some(principal)), "key": asked.key.as_str(), "buckets": buckets, "next": next })
}

fn decisions(
    node: &Node,
    principal: &Principal,
    bucket: &Bucket,
    key: &ObjectKey,
    context: &RequestContext,
) -> Vec<Decided> {
    let mut all: Vec<Decided> = Vec::new();
    for action in actions() {
        let request = AccessRequest {
            principal: Some(principal),
            action,
            bucket: Some(&bucket.name),
            bucket_owner: Some(&bucket.owner),
            config: Some(&*bucket.config),
            key: is_about_objects(action).then_some(key.as_str()),
            resource: None,
            object: ObjectState::Missing,
            context,
        };
        let decision = node.access.policy_engine.decide(&request);
        let told = Explanation::of(&request, &decision, Trace::default());
        let (decision, reason, by) = (told.decision, told.reason, told.deciding_statement);
        match all.iter_mut().find(|one| (one.decision, one.reason, &one.by) == (decision, reason, &by)) {
            Some(found) => found.actions.push(action),
            None => all.push(Decided { decision, reason, by, words: Vec::new(), actions: vec![action] }),
        }
    }
    for decided in &mut all {
        decided.words = words(&decided.actions);
    }
    // What is allowed stands first.
    all.sort_by_key(|decided| decided.decision);
    all
}

/// Actions of S3 that are asked of a bucket that is there, or of what is in it.
fn actions() -> impl Iterator<Item = &'static str> {
    s3_actions().filter(|action| !matches!(*action, "s3:ListAllMyBuckets" | "s3:CreateBucket"))
}

fn words(among: &[&'static str]) -> Vec<&'static str> {
    let is_whole = |word: &&Capability| {
        let of_word =
            |action: &&'static str| find_action(action).is_some_and(|row| row.capability.coarse() == word.coarse());
        actions().filter(of_word).all(|action| among.contains(&action))
    };
    WORDS.iter().filter(is_whole).map(|word| word.token()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_stand_for_all_of_their_actions() {
        let all: Vec<_> = actions().collect();
        assert_eq!(words(&all), ["list", "read", "write", "delete", "share", "policy", "replication"]);
        let but_one: Vec<_> = all.iter().copied().filter(|action| *action != "s3:DeleteObjectVersion").collect();
        assert!(!words(&but_one).contains(&"delete") && words(&but_one).contains(&"write"));
        assert_eq!(words(&[]), [""; 0]);
        assert!(!all.contains(&"s3:CreateBucket") && all.contains(&"s3:DeleteBucket"));
    }

    #[test]
    fn questions_are_read() {
        let asked = |query: &str| Asked::of(&Query::parse(query).unwrap()).map_err(|error| error.code());
        let plain = asked("").unwrap();
        assert_eq!((plain.key.as_str(), plain.limit), (KEY, BUCKETS));
        assert!(plain.wants("photos"));
        let some = asked("key=a%2Fb&after=b&bucket=c&limit=100").unwrap();
        assert_eq!((some.key.as_str(), some.limit), ("a/b", BUCKETS_MAX));
        assert!(some.wants("c") && !some.wants("b") && !some.wants("d"));
        for wrong in ["limit=0", "limit=101", "limit=x"] {
            assert_eq!(asked(wrong).err(), Some(ErrorCode::InvalidArgument), "{wrong}");
        }
    }
}
