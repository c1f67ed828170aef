use super::*;
use crate::names::BucketId;

const SCOPE: QuotaScope = QuotaScope::Bucket(BucketId(1));

fn quantity(bytes: u64, objects: u64) -> Quantity {
    Quantity { bytes, objects }
}

fn limits(max_bytes: Option<u64>, max_objects: Option<u64>) -> Option<QuotaLimits> {
    Some(QuotaLimits { max_bytes, max_objects })
}

fn ledger(max_bytes: u64, max_objects: u64, used: Quantity) -> Arc<Ledger> {
    let ledger = Ledger::default();
    ledger.set_limits(&SCOPE, limits(Some(max_bytes), Some(max_objects)), used, true);
    Arc::new(ledger)
}

fn wish(bytes: u64, objects: u64) -> Vec<Wish> {
    vec![Wish { scope: SCOPE, amount: quantity(bytes, objects), credit: 0 }]
}

fn posting(used: Quantity, growth: Quantity) -> Posting {
    Posting { scope: SCOPE, used, growth }
}

fn told(ledger: &Ledger) -> (Quantity, Quantity) {
    let account = ledger.account(&SCOPE).unwrap();
    (account.used, account.reserved)
}

#[test]
fn a_promise_is_kept_and_freed_once() {
    let ledger = ledger(100, 2, Quantity::default());
    let mut first = ledger.reserve(wish(60, 1)).unwrap();
    let refused = |ledger: &Arc<Ledger>, wish| ledger.reserve(wish).map(drop).map_err(|refusal| refusal.resource);
    assert_eq!(refused(&ledger, wish(41, 1)), Err(QuotaResource::Bytes));
    let second = ledger.reserve(wish(40, 1)).unwrap();
    assert_eq!(refused(&ledger, wish(0, 1)), Err(QuotaResource::Objects));
    assert_eq!(ledger.check(&wish(1, 0)), Err(Refusal { scope: SCOPE, resource: QuotaResource::Bytes }));
    ledger.reserve(wish(0, 0)).unwrap();
    drop(second);
    assert_eq!(told(&ledger), (Quantity::default(), quantity(60, 1)));
    // Less was written than was promised: the rest is free with the very posting.
    let posted = posting(quantity(50, 1), quantity(50, 1));
    ledger.charge(std::slice::from_ref(&posted), Some(&mut first)).unwrap().keep();
    assert_eq!(told(&ledger), (quantity(50, 1), Quantity::default()));
    drop(first);
    assert_eq!(told(&ledger), (quantity(50, 1), Quantity::default()));
}

#[test]
fn others_promises_count_in_a_commit_and_ones_own_does_not() {
    let ledger = ledger(100, 9, quantity(10, 1));
    let mut own = ledger.reserve(wish(50, 1)).unwrap();
    let others = ledger.reserve(wish(40, 1)).unwrap();
    let grow = |bytes| posting(quantity(10 + bytes, 2), quantity(bytes, 1));
    let refusal = ledger.charge(&[grow(51)], Some(&mut own)).unwrap_err();
    assert_eq!(refusal.resource, QuotaResource::Bytes);
    assert_eq!(told(&ledger), (quantity(10, 1), quantity(90, 2)), "a refusal changes nothing");
    ledger.charge(&[grow(50)], Some(&mut own)).unwrap().keep();
    assert_eq!(told(&ledger), (quantity(60, 2), quantity(40, 1)));
    assert!(ledger.charge(&[posting(quantity(61, 2), quantity(1, 0))], None).is_err());
    drop(others);
    ledger.charge(&[posting(quantity(61, 2), quantity(1, 0))], None).unwrap().keep();
}

#[test]
fn a_transaction_that_is_dropped_leaves_the_ledger_as_it_was() {
    let ledger = ledger(100, 9, quantity(10, 1));
    let mut own = ledger.reserve(wish(85, 1)).unwrap();
    let charge = ledger.charge(&[posting(quantity(95, 2), quantity(85, 1))], Some(&mut own)).unwrap();
    assert_eq!(ledger.account(&SCOPE).unwrap().warning(QuotaResource::Bytes), Some(95));
    drop(charge);
    let account = ledger.account(&SCOPE).unwrap();
    assert_eq!((account.used, account.reserved, account.warned), (quantity(10, 1), Quantity::default(), [0, 0]));
}

#[test]
fn a_limit_below_what_is_used_only_blocks_growth() {
    let ledger = ledger(10, 1, quantity(50, 5));
    assert!(ledger.reserve(wish(1, 0)).is_err() && ledger.reserve(wish(0, 1)).is_err());
    ledger.charge(&[posting(quantity(40, 5), Quantity::default())], None).unwrap().keep();
    assert!(ledger.charge(&[posting(quantity(41, 5), quantity(1, 0))], None).is_err());
    assert_eq!(told(&ledger).0, quantity(40, 5));
}

#[test]
fn an_unknown_size_is_promised_as_it_grows_less_what_it_replaces() {
    let ledger = ledger(100, 9, quantity(60, 1));
    let amount = quantity(0, 0);
    let mut body = ledger.reserve(vec![Wish { scope: SCOPE, amount, credit: 30 }]).unwrap();
    body.cover(30).unwrap();
    assert_eq!(told(&ledger).1, Quantity::default());
    body.cover(70).unwrap();
    body.cover(50).unwrap();
    assert_eq!(told(&ledger).1, quantity(40, 0));
    assert_eq!(body.cover(71).unwrap_err().resource, QuotaResource::Bytes);
    assert_eq!(told(&ledger).1, quantity(40, 0));
    drop(body);
    assert_eq!(told(&ledger).1, Quantity::default());
}

#[test]
fn a_quota_may_end_and_come_back_under_a_body() {
    let ledger = ledger(100, 9, Quantity::default());
    let body = ledger.reserve(wish(60, 1)).unwrap();
    ledger.set_limits(&SCOPE, None, Quantity::default(), true);
    assert_eq!(ledger.account(&SCOPE), None);
    ledger.set_limits(&SCOPE, limits(Some(100), None), quantity(10, 1), true);
    assert_eq!(told(&ledger), (quantity(10, 1), quantity(60, 1)), "what was promised is still to come");
    ledger.set_limits(&SCOPE, None, Quantity::default(), true);
    drop(body);
    assert!(ledger.accounts.lock().is_empty());
}

#[test]
fn users_with_quotas_are_counted() {
    let ledger = Ledger::default();
    let owner = CanonicalId::from_bytes([1; 32]);
    let scope = QuotaScope::Owner(owner.clone());
    assert!(!ledger.limits_owner(&owner));
    for _ in 0..2 {
        ledger.set_limits(&scope, limits(Some(1), None), Quantity::default(), true);
    }
    assert!(ledger.limits_owner(&owner) && !ledger.limits_owner(&CanonicalId::from_bytes([2; 32])));
    for _ in 0..2 {
        ledger.set_limits(&scope, None, Quantity::default(), true);
    }
    assert!(!ledger.limits_owners());
}

#[test]
fn each_threshold_is_told_once_until_usage_was_well_below() {
    let ledger = ledger(100, 1000, Quantity::default());
    let mut crossed = Vec::new();
    for used in [79, 80, 81, 79, 80, 75, 80, 74, 80, 95, 94, 90, 95, 89, 96, 100, 10] {
        let charge = ledger.charge(&[posting(quantity(used, 1), Quantity::default())], None).unwrap();
        crossed.extend(charge.keep().into_iter().map(|crossing| (used, crossing.percent)));
    }
    assert_eq!(crossed, [(80, 80), (80, 80), (95, 95), (96, 95)]);
    let by_limit = ledger.set_limits(&SCOPE, limits(Some(12), Some(1)), quantity(10, 1), false);
    let told: Vec<_> = by_limit.iter().map(|crossing| (crossing.resource, crossing.percent)).collect();
    assert_eq!(told, [(QuotaResource::Bytes, 80), (QuotaResource::Objects, 95)]);
}

#[test]
fn an_empty_quota_warns_of_nothing() {
    let ledger = Ledger::default();
    assert!(ledger.set_limits(&SCOPE, limits(Some(0), Some(0)), Quantity::default(), false).is_empty());
}

/// Threads that reserve, grow, commit and let go: what is used and promised is never more than the limit, and in the end nothing is
/// promised.
#[test]
fn never_more_than_the_limit_whoever_asks() {
    const LIMIT: u64 = 1000;
    let ledger = ledger(LIMIT, 1000, Quantity::default());
    let committed = Mutex::new(0u64);
    let work = |seed: u64| {
        let mut state = seed;
        let mut next = |below: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % below
        };
        for _ in 0..2000 {
            let bytes = next(120);
            let Ok(mut body) = ledger.reserve(wish(bytes, 0)) else { continue };
            let grown = bytes + next(50);
            let covered = body.cover(grown).is_ok();
            let account = ledger.account(&SCOPE).unwrap();
            assert!(account.used.bytes + account.reserved.bytes <= LIMIT, "{account:?}");
            if next(3) == 0 || !covered {
                continue;
            }
            // The committer is one.
            let mut committed = committed.lock();
            let used = *committed + grown;
            let charge = ledger.charge(&[posting(quantity(used, 0), quantity(grown, 0))], Some(&mut body));
            charge.expect("what was promised has room").keep();
            *committed = used;
            if next(2) == 0 {
                *committed -= grown;
                let shrunk = posting(quantity(*committed, 0), Quantity::default());
                ledger.charge(&[shrunk], None).unwrap().keep();
            }
        }
    };
    std::thread::scope(|scope| (0..4).for_each(|seed| drop(scope.spawn(move || work(seed)))));
    let account = ledger.account(&SCOPE).unwrap();
    assert_eq!((account.used.bytes, account.reserved), (*committed.lock(), Quantity::default()));
}
