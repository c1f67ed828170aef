//! How buckets grow, and when their quotas will be full, in words: from the node's own samples of what single buckets held
//! ([`crate::metrics::growth`]). Whoever sees a bucket sees what it holds, and so this.

use myfsio_actors::storage::{Bucket, Usage};

use super::forecast::{LOOKED_BACK_SECONDS, Outlook, outlook};
use crate::console::text::{Home, Properties};
use crate::console::units::{bytes, lasting};
use crate::console::visit::Visit;
use crate::metrics::growth::Held;

const DAY_SECONDS: u64 = 86_400;

/// By how much a bucket has grown in a day, a week and a month, as far as that is known; none where nothing is.
pub fn grown(visit: &Visit, bucket: &Bucket, usage: &Usage) -> Option<String> {
    let (words, node) = (&visit.t.home, &visit.console.node);
    let (now, growth) = (node.clock.now().seconds(), node.growth.lock());
    let held = usage.quantity().bytes;
    let then = |days: u64| growth.ago(bucket.id.0, days * DAY_SECONDS, now);
    told_growth(words, held, [then(1), then(7), then(30)])
}

fn told_growth(words: &Home, now: u64, then: [Option<Held>; 3]) -> Option<String> {
    let spans = [words.grown_day, words.grown_week, words.grown_month];
    let known = then.into_iter().zip(spans).filter_map(|(then, span)| Some((then?.bytes, span)));
    let told: Vec<_> = known.map(|(then, span)| format!("{}\u{a0}{span}", difference(then, now))).collect();
    (!told.is_empty()).then(|| told.join(" · "))
}

/// What came or went, with its sign.
fn difference(then: u64, now: u64) -> String {
    match now.cmp(&then) {
        std::cmp::Ordering::Equal => "±0".to_owned(),
        std::cmp::Ordering::Greater => format!("+{}", bytes(now - then)),
        std::cmp::Ordering::Less => format!("−{}", bytes(then - now)),
    }
}

/// When a limit of a bucket is reached. `of`: what the limit is about.
pub fn full(visit: &Visit, bucket: &Bucket, usage: &Usage, limit: u64, of: fn(Held) -> u64) -> String {
    let node = &visit.console.node;
    let now = node.clock.now().seconds();
    let held = usage.quantity();
    let past = node.growth.lock().of(bucket.id.0, LOOKED_BACK_SECONDS, now);
    let past: Vec<_> = past.into_iter().map(|(at, held)| (at, of(held))).collect();
    let used = of(Held { bytes: held.bytes, objects: held.objects });
    told_outlook(&visit.t.properties, outlook(&past, (now, used), limit))
}

/// A span for people: from a day on in whole days, the nearest.
fn span(seconds: u64) -> String {
    lasting(if seconds < DAY_SECONDS { seconds } else { (seconds + DAY_SECONDS / 2) / DAY_SECONDS * DAY_SECONDS })
}

fn told_outlook(words: &Properties, outlook: Outlook) -> String {
    match outlook {
        Outlook::Full => words.quota_full.to_owned(),
        Outlook::In { left, over } => {
            format!("{} {} {} {}.", words.quota_full_in, lasting(left), words.quota_at_rate, span(over))
        }
        Outlook::Far { over } => format!("{} {}.", words.quota_far, span(over)),
        Outlook::Unknown => words.quota_unknown.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growth_is_told_as_far_as_it_is_known() {
        let held = |bytes| Some(Held { bytes, objects: 0 });
        let told = |then| told_growth(&Home::ENGLISH, 2_048, then);
        assert_eq!(told([None, None, None]), None);
        let all = told([held(1_024), held(4_096), held(2_048)]).unwrap();
        assert_eq!(all, "+1.00 KiB\u{a0}in 24 hours · −2.00 KiB\u{a0}in 7 days · ±0\u{a0}in 30 days");
        assert_eq!(told([None, held(0), None]).unwrap(), "+2.00 KiB\u{a0}in 7 days");
    }

    #[test]
    fn an_outlook_names_the_days_that_it_is_taken_from() {
        let told = |outlook| told_outlook(&Properties::ENGLISH, outlook);
        let soon = told(Outlook::In { left: 12 * DAY_SECONDS, over: 7 * DAY_SECONDS });
        assert_eq!(soon, "Full in about 12\u{a0}days at the rate of the last 7\u{a0}days.");
        assert!(told(Outlook::Unknown).contains("Not enough history"));
        let nearly = told(Outlook::Far { over: 7 * DAY_SECONDS - 7_000 });
        assert!(nearly.ends_with("the last 7\u{a0}days."), "{nearly}");
        assert!(told(Outlook::Far { over: DAY_SECONDS }).ends_with("the last 1\u{a0}day."));
    }
}
