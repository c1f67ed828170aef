//! The walk over meters: each must be what the rows add up to, as far as its own walk has come.
//!
//! It comes last, when rows are mended. Where something may be mended, what a meter lacks is counted here.

use std::collections::HashMap;

use super::check::Check;
use super::rows::orphan;
use super::{Difference, Mend};
use crate::names::{BucketId, CanonicalId};
use crate::storage::StorageError;
use crate::storage::keys::{self, RowKind};
use crate::storage::messages::{Quantity, QuotaScope};
use crate::storage::overlay::Rows as _;
use crate::storage::quota::meters::{self, Entry, Meter};
use crate::storage::rows::{self, MeterRow};

const PAGE_ROWS: usize = 1000;

/// What a meter should tell: of what its walk has seen, and of everything.
#[derive(Debug, Default)]
struct Sums {
    seen: Quantity,
    all: Quantity,
}

/// Walks the meters of all buckets and users.
pub(super) fn walk(check: &mut Check<'_>) -> Result<(), StorageError> {
    check.flush()?;
    orphans(check)?;
    let is_wanted = |scope: &QuotaScope| match scope {
        QuotaScope::Bucket(id) | QuotaScope::Prefix(id, _) => check.buckets.contains_key(id),
        QuotaScope::Owner(_) => check.options.bucket.is_none(),
    };
    let recorded = check.opened.recovered.meters.iter().filter(|(scope, _)| is_wanted(scope));
    let recorded: Vec<_> = recorded.map(|(scope, meter)| (scope.clone(), meter.clone())).collect();
    if recorded.is_empty() {
        return Ok(());
    }
    let mut sums: Vec<_> = recorded.into_iter().map(|(scope, meter)| (scope, meter, Sums::default())).collect();
    add_up(check, &mut sums)?;
    for (scope, meter, sums) in sums {
        let is_wrong = meter.counted != sums.seen;
        let mends = check.may(Mend::Safely);
        if is_wrong {
            let text = |Quantity { bytes, objects }: Quantity| format!("{objects} objects of {bytes} bytes");
            let detail = format!("{} are counted, {} are there", text(meter.counted), text(sums.seen));
            check.tell(Difference::WrongCounters, name(check, &scope), detail, mends);
        }
        if let Some(row_key) = meters::row_key(&scope).filter(|_| mends && (is_wrong || !meter.is_complete())) {
            let complete = Meter { counted: sums.all, after: None };
            check.change(row_key, Some(rows::encode(&MeterRow::from(&complete))?))?;
        }
    }
    check.flush()
}

fn add_up(check: &Check<'_>, sums: &mut [(QuotaScope, Meter, Sums)]) -> Result<(), StorageError> {
    let buckets = &check.opened.recovered.buckets;
    let owners: HashMap<BucketId, CanonicalId> = buckets.values().map(|b| (b.id, b.owner.clone())).collect();
    let mut after = Vec::new();
    loop {
        let owner_of = |id| owners.get(&id).cloned();
        let page = meters::walk(&check.opened.rows, keys::all_holdings(), &after, PAGE_ROWS, &owner_of)?;
        for (scope, meter, Sums { seen, all }) in &mut *sums {
            meters::count(scope, all, page.entries.iter());
            let is_seen = |entry: &&Entry| meter.covers(&entry.row_key);
            meters::count(scope, seen, page.entries.iter().filter(is_seen));
        }
        match page.next {
            Some(next) => after = next,
            None => return Ok(()),
        }
    }
}

/// Each meter of a prefix is asked for by a quota. Those of users are for who knows users.
fn orphans(check: &mut Check<'_>) -> Result<(), StorageError> {
    let (start, end) = keys::all_meters();
    let mut orphans = Vec::new();
    check.opened.rows.scan(&start, &end, &mut |row_key, _| {
        if let Some(RowKind::PrefixMeter(bucket, prefix)) = keys::kind(row_key) {
            let scope = String::from_utf8(prefix).map(|prefix| QuotaScope::Prefix(bucket, prefix.into()));
            let is_asked_for = scope.is_ok_and(|scope| check.opened.recovered.meters.get(&scope).is_some());
            if !is_asked_for && check.buckets.contains_key(&bucket) {
                orphans.push(row_key.to_vec());
            }
        }
        Ok(true)
    })?;
    for row_key in orphans {
        orphan(check, row_key, "the meter of a quota that is not there")?;
    }
    Ok(())
}

fn name(check: &Check<'_>, scope: &QuotaScope) -> String {
    let bucket =
        |id: &BucketId| check.buckets.get(id).map_or_else(|| id.0.to_string(), |bucket| bucket.name.to_string());
    match scope {
        QuotaScope::Bucket(id) => bucket(id),
        QuotaScope::Prefix(id, prefix) => format!("{}/{prefix}*", bucket(id)),
        QuotaScope::Owner(owner) => format!("user {}", owner.as_str()),
    }
}
