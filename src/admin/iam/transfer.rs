//! Users, groups and managed policies as one document, out and in. For whoever administers the node.

use actix_web::http::StatusCode;
use myfsio_actors::iam::{Accounts, ImportAccounts, ImportMode, ImportOutcome, ImportPlan};
use serde_json::{Value, json};

use super::{Call, tell};
use crate::s3::error::{ErrorCode, S3Error};
use crate::s3::respond::Answer;

/// The document of the caller's account. It holds no access keys.
pub fn export(call: &Call<'_>) -> Answer {
    let account_id = allowed(call)?;
    for (action, kind) in [("iam:ListUsers", "user"), ("iam:ListGroups", "group"), ("iam:ListPolicies", "policy")] {
        call.ask(action, &format!("arn:aws:iam::{account_id}:{kind}/"))?;
    }
    let accounts = Accounts::of(&call.directory, account_id, Some(call.caller.received()));
    tell::answer(StatusCode::OK, &accounts.to_value())
}

/// Takes a document into the caller's account; `preview`: only tells what that would do; `stamp`: does it if the preview with this
/// stamp still holds. Errs: AccessDenied, InvalidArgument, PreconditionFailed.
pub async fn import(call: &Call<'_>, body: &[u8]) -> Answer {
    let account_id = allowed(call)?.to_owned();
    let text =
        std::str::from_utf8(body).map_err(|_| S3Error::with_message(ErrorCode::InvalidArgument, "This is no text."))?;
    let query = call.caller.query();
    let mode = match (query.has("preview"), query.get_filled("stamp")) {
        (true, _) => ImportMode::Preview,
        (false, Some(stamp)) => ImportMode::ApplyIf(stamp.to_owned()),
        (false, None) => ImportMode::Apply,
    };
    let is_preview = mode == ImportMode::Preview;
    let caller = call.principal()?.user_id.clone();
    let plan = call.change(ImportAccounts { account_id, caller, accounts: Accounts::parse(text)?, mode }).await?;
    match plan.is_done || is_preview {
        true => tell::answer(StatusCode::OK, &told(&plan)),
        false => {
            let message = "The users, groups or policies have changed since the preview. Look at it again.";
            Err(S3Error::with_message(ErrorCode::PreconditionFailed, message))
        }
    }
}

fn allowed<'a>(call: &'a Call<'_>) -> Result<&'a str, S3Error> {
    match call.caller.is_administrator(call.node) {
        true => call.account_id(),
        false => Err(ErrorCode::AccessDenied.into()),
    }
}

fn told(plan: &ImportPlan) -> Value {
    let items = plan.items.iter().map(|item| {
        let outcome = match item.outcome {
            ImportOutcome::Created => "created",
            ImportOutcome::Changed => "changed",
            ImportOutcome::Same => "same",
            ImportOutcome::Kept => "kept",
        };
        json!({ "kind": item.kind, "name": item.name, "outcome": outcome, "fields": item.fields })
    });
    json!({ "done": plan.is_done, "stamp": plan.stamp, "items": items.collect::<Vec<_>>() })
}
