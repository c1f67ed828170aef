//! The ledger: of each quota its limits, what is used and what is reserved. Pure but for its lock.
//!
//! INVARIANT: whenever something was granted, be it a reservation or growth in a commit, `used + reserved <= limit` held of every
//! account that it concerns, all looked at under one lock. What shrinks, or stays as it is, needs no grant, so lowering a limit
//! below what is used only blocks growth.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;

use crate::bucket_config::{QuotaLimits, QuotaResource};
use crate::names::CanonicalId;
use crate::storage::messages::{Quantity, QuotaAccount, QuotaScope};

/// Warning thresholds in per cent, ascending.
const WARNINGS: [u64; 2] = [80, 95];
/// A threshold that was reached is told again once usage was so many points below it.
const SLACK: u64 = 5;

/// One quota. It is kept for as long as it has limits, or reservations that were granted while it had.
#[derive(Debug, Default)]
struct Account {
    limits: Option<QuotaLimits>,
    /// As it will be when everything that the committer has accepted is durable.
    used: Quantity,
    reserved: Quantity,
    warned: [u8; 2],
}

/// What is asked of one account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    pub scope: QuotaScope,
    /// What it takes beyond what it replaces.
    pub amount: Quantity,
    /// Bytes of what it replaces.
    pub credit: u64,
}

/// What a transaction makes of one account.
#[derive(Debug, Clone)]
pub struct Posting {
    pub scope: QuotaScope,
    /// What is used then.
    pub used: Quantity,
    /// By how much the transaction grows it, whether that is counted already or not; 0 where it does not.
    pub growth: Quantity,
}

/// The account that refuses something, and for which resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub scope: QuotaScope,
    pub resource: QuotaResource,
}

/// A threshold that an account came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Crossing {
    pub scope: QuotaScope,
    pub resource: QuotaResource,
    pub percent: u8,
    pub used: u64,
    pub limit: u64,
}

/// The accounts.
#[derive(Debug, Default)]
pub struct Ledger {
    accounts: Mutex<HashMap<QuotaScope, Account>>,
    /// Users with limits: while there are none, writes need not ask.
    owners: AtomicUsize,
}

impl Account {
    /// Whether `more` fits beside what is used and reserved, `own` of it by who asks.
    fn fits(&self, more: Quantity, own: Quantity) -> Result<(), QuotaResource> {
        let Some(limits) = self.limits else { return Ok(()) };
        for resource in QuotaResource::ALL {
            let (Some(limit), more) = (limits.of(resource), more.of(resource)) else { continue };
            let others = self.reserved.of(resource).saturating_sub(own.of(resource));
            let sum = u128::from(self.used.of(resource)) + u128::from(others) + u128::from(more);
            if more > 0 && sum > u128::from(limit) {
                return Err(resource);
            }
        }
        Ok(())
    }

    /// Notes what is used, and tells the thresholds that were reached by it.
    fn use_up(&mut self, scope: &QuotaScope, used: Quantity, crossed: &mut Vec<Crossing>) {
        self.used = used;
        let limits = self.limits.unwrap_or_default();
        for (warned, resource) in self.warned.iter_mut().zip(QuotaResource::ALL) {
            let (used, limit) = (used.of(resource), limits.of(resource));
            let level = limit.map_or(0, |limit| level(used, limit, *warned));
            if let Some(limit) = limit.filter(|_| level > *warned) {
                crossed.push(Crossing { scope: scope.clone(), resource, percent: level, used, limit });
            }
            *warned = level;
        }
    }
}

/// The highest threshold that is reached. One that was reached `before` stays so until usage is well below it.
fn level(used: u64, limit: u64, before: u8) -> u8 {
    let has = |percent: u64| used > 0 && u128::from(used) * 100 >= u128::from(limit) * u128::from(percent);
    let is_reached = |percent: &u64| has(*percent) || (u64::from(before) >= *percent && has(percent - SLACK));
    let highest = WARNINGS.into_iter().rev().find(is_reached).unwrap_or(0);
    u8::try_from(highest).unwrap_or(0)
}

fn add(to: &mut Quantity, more: Quantity) {
    to.bytes = to.bytes.saturating_add(more.bytes);
    to.objects = to.objects.saturating_add(more.objects);
}

fn take(from: &mut Quantity, less: Quantity) {
    from.bytes = from.bytes.saturating_sub(less.bytes);
    from.objects = from.objects.saturating_sub(less.objects);
}

/// Takes promises back; an account that nothing needs any more goes.
fn release(accounts: &mut HashMap<QuotaScope, Account>, held: &mut Vec<Wish>) {
    for wish in held.drain(..) {
        let Some(account) = accounts.get_mut(&wish.scope) else { continue };
        take(&mut account.reserved, wish.amount);
        if account.limits.is_none() && account.reserved == Quantity::default() {
            accounts.remove(&wish.scope);
        }
    }
}

impl Ledger {
    /// Whether any user has a quota.
    pub fn limits_owners(&self) -> bool {
        self.owners.load(Ordering::Relaxed) > 0
    }

    /// Whether this user has one.
    pub fn limits_owner(&self, owner: &CanonicalId) -> bool {
        let has_limits = |account: &Account| account.limits.is_some();
        self.limits_owners() && self.accounts.lock().get(&QuotaScope::Owner(owner.clone())).is_some_and(has_limits)
    }

    /// Sets the limits of an account, none to end it, and what is used of it. Tells the thresholds that it comes to, unless they are
    /// `known`. Only by the committer.
    pub fn set_limits(
        &self,
        scope: &QuotaScope,
        limits: Option<QuotaLimits>,
        used: Quantity,
        known: bool,
    ) -> Vec<Crossing> {
        let mut crossed = Vec::new();
        let mut accounts = self.accounts.lock();
        let had = accounts.get(scope).is_some_and(|account| account.limits.is_some());
        match limits {
            Some(limits) => {
                let account = accounts.entry(scope.clone()).or_default();
                account.limits = Some(limits);
                account.use_up(scope, used, &mut crossed);
            }
            None => match accounts.get_mut(scope) {
                Some(account) if account.reserved != Quantity::default() => {
                    (account.limits, account.warned) = (None, [0; 2]);
                }
                _ => drop(accounts.remove(scope)),
            },
        }
        if matches!(scope, QuotaScope::Owner(_)) {
            match (had, limits.is_some()) {
                (false, true) => drop(self.owners.fetch_add(1, Ordering::Relaxed)),
                (true, false) => drop(self.owners.fetch_sub(1, Ordering::Relaxed)),
                _ => {}
            }
        }
        if known { Vec::new() } else { crossed }
    }

    /// Promises what is wished, all of it or nothing.
    pub fn reserve(self: &Arc<Self>, wishes: Vec<Wish>) -> Result<Reservation, Refusal> {
        let mut accounts = self.accounts.lock();
        fit(&accounts, &wishes)?;
        let mut held = Vec::with_capacity(wishes.len());
        for wish in wishes {
            // One that has no limits any more is not there to promise anything.
            if let Some(account) = accounts.get_mut(&wish.scope) {
                add(&mut account.reserved, wish.amount);
                held.push(wish);
            }
        }
        drop(accounts);
        Ok(Reservation { ledger: Arc::clone(self), held })
    }

    /// Whether it could be promised now.
    pub fn check(&self, wishes: &[Wish]) -> Result<(), Refusal> {
        fit(&self.accounts.lock(), wishes)
    }

    /// Posts what a transaction changes and settles its reservation. Only by the committer.
    pub fn charge(
        self: &Arc<Self>,
        postings: &[Posting],
        reservation: Option<&mut Reservation>,
    ) -> Result<Charge, Refusal> {
        let mut accounts = self.accounts.lock();
        for Posting { scope, growth, .. } in postings {
            let own = reservation.as_ref().map_or_else(Quantity::default, |reservation| reservation.of(scope));
            let refused = |resource| Refusal { scope: scope.clone(), resource };
            accounts.get(scope).map_or(Ok(()), |account| account.fits(*growth, own)).map_err(refused)?;
        }
        let (mut before, mut crossed) = (Vec::new(), Vec::new());
        for Posting { scope, used, .. } in postings {
            if let Some(account) = accounts.get_mut(scope) {
                before.push((scope.clone(), account.used, account.warned));
                account.use_up(scope, *used, &mut crossed);
            }
        }
        if let Some(reservation) = reservation {
            release(&mut accounts, &mut reservation.held);
        }
        drop(accounts);
        Ok(Charge { ledger: Arc::clone(self), before, crossed })
    }

    /// An account that has limits.
    pub fn account(&self, scope: &QuotaScope) -> Option<QuotaAccount> {
        self.accounts.lock().get(scope).and_then(Account::told)
    }

    /// All accounts that have limits.
    pub fn accounts(&self) -> Vec<(QuotaScope, QuotaAccount)> {
        let accounts = self.accounts.lock();
        accounts.iter().filter_map(|(scope, account)| Some((scope.clone(), account.told()?))).collect()
    }
}

impl Account {
    fn told(&self) -> Option<QuotaAccount> {
        let Self { limits, used, reserved, warned } = self;
        let account =
            |limits| QuotaAccount { limits, used: *used, reserved: *reserved, warned: *warned, is_counting: false };
        limits.map(account)
    }
}

fn fit(accounts: &HashMap<QuotaScope, Account>, wishes: &[Wish]) -> Result<(), Refusal> {
    for Wish { scope, amount, .. } in wishes {
        let refused = |resource| Refusal { scope: scope.clone(), resource };
        let account = accounts.get(scope);
        account.map_or(Ok(()), |account| account.fits(*amount, Quantity::default())).map_err(refused)?;
    }
    Ok(())
}

/// What was promised to a body under way. Dropping it takes the promise back.
#[derive(Debug)]
pub struct Reservation {
    ledger: Arc<Ledger>,
    held: Vec<Wish>,
}

impl Reservation {
    fn of(&self, scope: &QuotaScope) -> Quantity {
        self.held.iter().find(|wish| wish.scope == *scope).map_or_else(Quantity::default, |wish| wish.amount)
    }

    /// Grows the promise to a body of `bytes`.
    pub fn cover(&mut self, bytes: u64) -> Result<(), Refusal> {
        let grown = |wish: &Wish| bytes.saturating_sub(wish.credit).saturating_sub(wish.amount.bytes);
        if self.held.iter().all(|wish| grown(wish) == 0) {
            return Ok(());
        }
        let mut accounts = self.ledger.accounts.lock();
        let more = |wish: &Wish| Wish { amount: Quantity { bytes: grown(wish), objects: 0 }, ..wish.clone() };
        fit(&accounts, &self.held.iter().map(more).collect::<Vec<_>>())?;
        for wish in &mut self.held {
            let more = Quantity { bytes: grown(wish), objects: 0 };
            add(&mut wish.amount, more);
            if let Some(account) = accounts.get_mut(&wish.scope) {
                add(&mut account.reserved, more);
            }
        }
        Ok(())
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if !self.held.is_empty() {
            release(&mut self.ledger.accounts.lock(), &mut self.held);
        }
    }
}

/// What a transaction has posted. Dropping it takes that back, unless it is kept.
#[derive(Debug)]
pub struct Charge {
    ledger: Arc<Ledger>,
    before: Vec<(QuotaScope, Quantity, [u8; 2])>,
    crossed: Vec<Crossing>,
}

impl Charge {
    /// The transaction will be committed; answers the thresholds that accounts came to by it.
    pub fn keep(mut self) -> Vec<Crossing> {
        self.before.clear();
        std::mem::take(&mut self.crossed)
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        if self.before.is_empty() {
            return;
        }
        let mut accounts = self.ledger.accounts.lock();
        for (scope, used, warned) in self.before.drain(..) {
            if let Some(account) = accounts.get_mut(&scope) {
                (account.used, account.warned) = (used, warned);
            }
        }
    }
}

#[cfg(test)]
mod tests;
