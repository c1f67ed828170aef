//! Keeping quotas: what a transaction changes of the accounts that concern it, and whether it may.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Effect, Mutation, Planner, State};
use crate::bucket_config::{BucketQuota, QuotaLimits};
use crate::names::{BucketId, BucketName, CanonicalId, ObjectKey, UploadId};
use crate::storage::StorageError;
use crate::storage::keys::{self, RowKind};
use crate::storage::messages::{Bucket, CountMeter, LimitOwners, Quantity, QuotaScope, QuotaWarning};
use crate::storage::quota::ledger::Crossing;
use crate::storage::quota::meters::{self, Entry, Meter};
use crate::storage::quota::{Posting, Reserved, refused};
use crate::storage::rows::{self, MeterRow, ObjectRow};

/// Rows that one commit of a walk looks at.
const WALK_ROWS: usize = if cfg!(test) { 3 } else { 500 };

/// What a row, or the parts of an upload, adds to meters or takes from them.
#[derive(Debug)]
pub(super) struct Move {
    entry: Entry,
    adds: bool,
}

/// The sum of what is added and taken.
#[derive(Debug, Clone, Copy, Default)]
struct Shift {
    bytes: i64,
    objects: i64,
}

impl Shift {
    fn add(&mut self, moved: &Move) {
        let Quantity { bytes, objects } = moved.entry.quantity;
        let add = if moved.adds { i64::saturating_add_unsigned } else { i64::saturating_sub_unsigned };
        (self.bytes, self.objects) = (add(self.bytes, bytes), add(self.objects, objects));
    }

    fn is_nothing(self) -> bool {
        self.bytes == 0 && self.objects == 0
    }

    fn growth(self) -> Quantity {
        let growth = |shift: i64| u64::try_from(shift).unwrap_or(0);
        Quantity { bytes: growth(self.bytes), objects: growth(self.objects) }
    }

    fn of(self, quantity: Quantity) -> Quantity {
        Quantity {
            bytes: quantity.bytes.saturating_add_signed(self.bytes),
            objects: quantity.objects.saturating_add_signed(self.objects),
        }
    }
}

/// How much more `after` is than `before`.
fn growth(before: Quantity, after: Quantity) -> Quantity {
    Quantity { bytes: after.bytes.saturating_sub(before.bytes), objects: after.objects.saturating_sub(before.objects) }
}

/// Whether what grows must fit its quotas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Growth {
    /// It must.
    Within,
    /// It is there already: a file that a person put in place, or what a walk counts.
    Regardless,
}

impl Planner<'_> {
    /// Counts the parts of an upload that the transaction removes and adds, for the bucket and for meters.
    pub fn count_parts(
        &mut self,
        bucket: &Bucket,
        (key, upload): (&ObjectKey, UploadId),
        owner: &CanonicalId,
        removed: u64,
        added: u64,
    ) -> Result<(), StorageError> {
        self.meter_parts(bucket.id, (key.as_bytes(), upload), owner, removed, added);
        if removed == added {
            return Ok(());
        }
        self.count(bucket.id, |usage| {
            usage.part_bytes = usage.part_bytes.saturating_sub(removed).saturating_add(added);
        })
    }

    /// The same for meters alone, where the bucket goes.
    pub fn meter_parts(
        &mut self,
        bucket: BucketId,
        (key, upload): (&[u8], UploadId),
        owner: &CanonicalId,
        removed: u64,
        added: u64,
    ) {
        for (bytes, adds) in [(removed, false), (added, true)] {
            let quantity = Quantity { bytes, objects: 0 };
            let row_key = keys::upload(bucket, key, upload);
            let entry = Entry { row_key, bucket, key: key.to_vec(), owner: owner.clone(), quantity };
            self.moves.push(Move { entry, adds });
        }
    }

    /// Posts what the transaction has changed so far to the quotas that concern it. Whatever grows does so before its file is kept,
    /// since it may be refused here. Once in a transaction. Errs: QuotaExceeded.
    pub(super) fn charge(&mut self, mut reserved: Option<Reserved>, allowed: Growth) -> Result<(), StorageError> {
        let Some(bucket) = self.subject.clone() else { return Ok(()) };
        let quota = bucket.config.quota.as_ref();
        if quota.is_none() && !self.state.meters.has_owners() {
            return Ok(());
        }
        let mut postings = Vec::new();
        if quota.is_some_and(|quota| !quota.limits.is_unlimited()) {
            let before = self.state.usage.get(&bucket.id).copied().unwrap_or_default().quantity();
            let used = self.usage(bucket.id).quantity();
            postings.push(Posting { scope: QuotaScope::Bucket(bucket.id), used, growth: growth(before, used) });
        }
        if self.state.meters.has_owners() || quota.is_some_and(|quota| !quota.prefixes.is_empty()) {
            self.post_meters(&bucket, &mut postings)?;
        }
        if allowed == Growth::Regardless {
            postings.iter_mut().for_each(|posting| posting.growth = Quantity::default());
        }
        let reservation = reserved.as_mut().map(|reserved| &mut reserved.reservation);
        let charge = self.state.ledger.charge(&postings, reservation);
        self.charge = Some(charge.map_err(|refusal| refused(&bucket.name, refusal))?);
        Ok(())
    }

    /// Brings what the transaction changes into the meters that it concerns.
    fn post_meters(&mut self, bucket: &Bucket, postings: &mut Vec<Posting>) -> Result<(), StorageError> {
        let mut moves = std::mem::take(&mut self.moves);
        moves.extend(self.moves_of_rows(bucket)?);
        let mut shifts: Vec<(QuotaScope, Shift, Shift)> = Vec::new();
        for moved in &moves {
            let quota = bucket.config.quota.as_ref();
            let of_key = quota.into_iter().flat_map(|quota| quota.of_key(&moved.entry.key));
            let prefixes = of_key.map(|quota| QuotaScope::Prefix(bucket.id, quota.prefix.as_str().into()));
            let owner = self.state.meters.has_owners().then(|| QuotaScope::Owner(moved.entry.owner.clone()));
            for scope in prefixes.chain(owner) {
                let Some(meter) = self.state.meters.get(&scope) else { continue };
                let at = shifts.iter().position(|(of, ..)| *of == scope).unwrap_or_else(|| {
                    shifts.push((scope, Shift::default(), Shift::default()));
                    shifts.len() - 1
                });
                let Some((_, all, counted)) = shifts.get_mut(at) else { continue };
                all.add(moved);
                if meter.covers(&moved.entry.row_key) {
                    counted.add(moved);
                }
            }
        }
        for (scope, all, counted) in shifts {
            let Some(mut meter) = self.state.meters.get(&scope).cloned() else { continue };
            meter.counted = counted.of(meter.counted);
            if !all.is_nothing() || !counted.is_nothing() {
                postings.push(Posting { scope: scope.clone(), used: meter.counted, growth: all.growth() });
            }
            if !counted.is_nothing() {
                self.set_meter(scope, Some(meter))?;
            }
        }
        Ok(())
    }

    /// What the changed rows of objects and versions add and take.
    fn moves_of_rows(&self, bucket: &Bucket) -> Result<Vec<Move>, StorageError> {
        let changed: BTreeMap<_, _> = self.entry.changes.iter().map(|(key, row)| (key, row)).collect();
        let mut moves = Vec::new();
        for (row_key, row) in changed {
            let (RowKind::Object(id, key) | RowKind::Version(id, key, _) | RowKind::Conflict(id, key, ..)) =
                keys::kind(row_key).unwrap_or(RowKind::Meta)
            else {
                continue;
            };
            if id != bucket.id {
                continue;
            }
            for (row, adds) in [(self.rows.get(row_key)?, false), (row.clone(), true)] {
                let Some(row) = row.filter(|row| !row.is_empty()) else { continue };
                let row: ObjectRow = rows::decode(&row)?;
                let entry = meters::of_object(row_key, (id, &key), &row, &bucket.owner);
                moves.extend(entry.map(|entry| Move { entry, adds }));
            }
        }
        Ok(moves)
    }

    fn set_meter(&mut self, scope: QuotaScope, meter: Option<Meter>) -> Result<(), StorageError> {
        let Some(row_key) = meters::row_key(&scope) else { return Ok(()) };
        let row = meter.as_ref().map(|meter| rows::encode(&MeterRow::from(meter))).transpose()?;
        self.change(row_key, row);
        self.effects.push(Effect::MeterIs(scope, meter));
        Ok(())
    }

    /// Has accounts and meters of a bucket follow its configuration.
    pub fn follow_quota(&mut self, before: Option<&BucketQuota>, bucket: &Bucket) -> Result<(), StorageError> {
        let after = bucket.config.quota.as_ref();
        if before == after {
            return Ok(());
        }
        let scope = |prefix: &str| QuotaScope::Prefix(bucket.id, prefix.into());
        let limits = after.map(|quota| quota.limits).filter(|limits| !limits.is_unlimited());
        self.limit(QuotaScope::Bucket(bucket.id), limits, false);
        let prefixes = |quota: Option<&BucketQuota>| quota.map(|quota| quota.prefixes.clone()).unwrap_or_default();
        let wanted = prefixes(after);
        for old in prefixes(before) {
            if !wanted.iter().any(|quota| quota.prefix == old.prefix) {
                self.set_meter(scope(&old.prefix), None)?;
                self.limit(scope(&old.prefix), None, false);
            }
        }
        for quota in wanted {
            let scope = scope(&quota.prefix);
            if self.state.meters.get(&scope).is_none() {
                self.set_meter(scope.clone(), Some(Meter::begun()))?;
            }
            self.limit(scope, Some(quota.limits), false);
        }
        Ok(())
    }

    fn limit(&mut self, scope: QuotaScope, limits: Option<QuotaLimits>, known: bool) {
        self.effects.push(Effect::LimitsAre { scope, limits, known });
    }
}

impl State {
    /// Takes in what a transaction that will be committed has changed; adds the warnings that come of it.
    pub fn accept(&mut self, effects: &mut Vec<Effect>, crossed: Vec<Crossing>) {
        let mut warnings: Vec<_> = crossed.into_iter().map(|crossing| self.warning(crossing)).collect();
        for effect in effects.iter() {
            match effect {
                Effect::UsageChanged(bucket, usage) => drop(self.usage.insert(*bucket, *usage)),
                Effect::BucketIs(bucket) => drop(self.buckets.insert(bucket.name.clone(), Arc::clone(bucket))),
                Effect::QueueIs(queue, Some(totals)) => drop(self.queues.insert(queue.clone(), *totals)),
                Effect::QueueIs(queue, None) => drop(self.queues.remove(queue)),
                Effect::MeterIs(scope, meter) => self.meters.set(scope.clone(), meter.clone()),
                Effect::LimitsAre { scope, limits, known } => {
                    let crossed = self.ledger.set_limits(scope, *limits, self.used(scope), *known);
                    warnings.extend(crossed.into_iter().map(|crossing| self.warning(crossing)));
                }
                _ => {}
            }
        }
        effects.extend(warnings.into_iter().map(|warning| Effect::Warned(Arc::new(warning))));
    }

    fn used(&self, scope: &QuotaScope) -> Quantity {
        match scope {
            QuotaScope::Bucket(bucket) => self.usage.get(bucket).copied().unwrap_or_default().quantity(),
            metered => self.meters.get(metered).map(|meter| meter.counted).unwrap_or_default(),
        }
    }

    fn warning(&self, crossing: Crossing) -> QuotaWarning {
        let Crossing { scope, resource, percent, used, limit } = crossing;
        let bucket = match &scope {
            QuotaScope::Bucket(id) | QuotaScope::Prefix(id, _) => self.bucket_of(*id).map(|bucket| bucket.name.clone()),
            QuotaScope::Owner(_) => None::<BucketName>,
        };
        QuotaWarning { bucket, scope, resource, percent, used, limit }
    }

    fn bucket_of(&self, id: BucketId) -> Option<&Arc<Bucket>> {
        self.buckets.values().find(|bucket| bucket.id == id)
    }
}

impl Mutation for LimitOwners {
    type Output = ();

    fn plan(self, planner: &mut Planner<'_>) -> Result<(), StorageError> {
        for (owner, limits) in self.limits {
            let scope = QuotaScope::Owner(owner);
            let meter = planner.state.meters.get(&scope);
            // One that a run before has counted, and told of.
            let known = meter.is_some_and(Meter::is_complete) && planner.state.ledger.account(&scope).is_none();
            match (meter.is_some(), limits.is_some()) {
                (false, true) => planner.set_meter(scope.clone(), Some(Meter::begun()))?,
                (true, false) => planner.set_meter(scope.clone(), None)?,
                _ => {}
            }
            planner.limit(scope, limits, known);
        }
        Ok(())
    }
}

impl Mutation for CountMeter {
    type Output = bool;

    fn plan(self, planner: &mut Planner<'_>) -> Result<bool, StorageError> {
        let Some(mut meter) = planner.state.meters.get(&self.scope).cloned() else { return Ok(true) };
        let Some(after) = meter.after.take() else { return Ok(true) };
        let state = &*planner.state;
        let owner_of = |id| state.bucket_of(id).map(|bucket| bucket.owner.clone());
        let page = meters::walk(planner.rows, meters::ranges(&self.scope), &after, WALK_ROWS, &owner_of)?;
        meters::count(&self.scope, &mut meter.counted, page.entries.iter());
        meter.after = page.next;
        let posting = Posting { scope: self.scope.clone(), used: meter.counted, growth: Quantity::default() };
        let charge = planner.state.ledger.charge(&[posting], None);
        // Nothing grows, so nothing is refused.
        planner.charge = charge.ok();
        let is_complete = meter.is_complete();
        planner.set_meter(self.scope, Some(meter))?;
        Ok(is_complete)
    }
}
