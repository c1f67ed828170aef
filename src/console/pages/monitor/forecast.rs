//! When a device or a quota will be full, if it goes on like this. Pure.

/// Points that a forecast takes at least: with two hours from each to the next, a day.
const POINTS_MIN: usize = 12;
/// What is farther away than this is not told, in seconds: ten years.
const FAR_SECONDS: f64 = 10.0 * 365.0 * 86_400.0;

/// Seconds until nothing is free: by the line that lies closest to the points (least squares), each of which is when in seconds and how
/// much was free. None where it does not become less, or nobody can tell.
pub fn full_in(points: &[(u64, u64)]) -> Option<u64> {
    let (begin, _) = *points.first()?;
    let (_, free) = *points.last()?;
    if points.len() < POINTS_MIN {
        return None;
    }
    let count = points.len() as f64;
    let placed = || points.iter().map(|(at, free)| (at.saturating_sub(begin) as f64, *free as f64));
    let mean_at = placed().map(|(at, _)| at).sum::<f64>() / count;
    let mean_free = placed().map(|(_, free)| free).sum::<f64>() / count;
    let together = placed().map(|(at, free)| (at - mean_at) * (free - mean_free)).sum::<f64>();
    let spread = placed().map(|(at, _)| (at - mean_at).powi(2)).sum::<f64>();
    let lost_per_second = -together / spread;
    let seconds = free as f64 / lost_per_second;
    // Nothing of this holds for what is no number.
    (lost_per_second > 0.0 && seconds <= FAR_SECONDS).then_some(seconds as u64)
}

/// Days that a quota's forecast looks back, in seconds.
pub const LOOKED_BACK_SECONDS: u64 = 7 * 86_400;

/// What becomes of a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outlook {
    /// It is reached.
    Full,
    /// It is reached in so many seconds, at the rate of the last so many seconds.
    In {
        /// Seconds from now.
        left: u64,
        /// Seconds that the rate is taken from.
        over: u64,
    },
    /// At the rate of the last so many seconds it is not reached within ten years.
    Far {
        /// Seconds that the rate is taken from.
        over: u64,
    },
    /// Nobody can tell: less than a day is known.
    Unknown,
}

/// When a limit is reached, by what was used at some times within the days that are looked back to, oldest first, and by what is used
/// now, which are each when in seconds and how much.
pub fn outlook(past: &[(u64, u64)], now: (u64, u64), limit: u64) -> Outlook {
    if now.1 >= limit {
        return Outlook::Full;
    }
    let points: Vec<_> = past.iter().chain([&now]).map(|(at, used)| (*at, limit.saturating_sub(*used))).collect();
    let over = points.first().map_or(0, |(begin, _)| now.0.saturating_sub(*begin));
    match full_in(&points) {
        _ if points.len() < POINTS_MIN => Outlook::Unknown,
        Some(left) => Outlook::In { left, over },
        None => Outlook::Far { over },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(count: u64, free: impl Fn(u64) -> u64) -> Vec<(u64, u64)> {
        (0..count).map(|at| (1_000_000 + at * 7_200, free(at))).collect()
    }

    #[test]
    fn a_steady_loss_is_followed() {
        let steady = points(24, |at| 1_000_000 - at * 10_000);
        assert_eq!(full_in(&steady), Some(77 * 7_200), "what is free at the end lasts 77 more steps");
        let wavering = points(24, |at| 1_000_000 - at * 10_000 + (at % 2) * 5_000);
        let seconds = full_in(&wavering).unwrap();
        assert!((70 * 7_200..85 * 7_200).contains(&seconds), "{seconds}");
    }

    #[test]
    fn what_nobody_can_tell_is_not_told() {
        assert_eq!(full_in(&[]), None);
        assert_eq!(full_in(&points(5, |at| 1_000 - at)), None, "too little is known");
        assert_eq!(full_in(&points(24, |_| 1_000)), None, "nothing changes");
        assert_eq!(full_in(&points(24, |at| 1_000 + at)), None, "it becomes more");
        assert_eq!(full_in(&points(24, |at| u64::MAX / 2 - at)), None, "it is far away");
        assert_eq!(full_in(&[(5, 10); 24]), None, "all at once");
    }

    const DAY: u64 = 86_400;

    /// So many samples, one every two hours until now, of which each is larger by so much.
    fn used(samples: u64, by: u64) -> (Vec<(u64, u64)>, (u64, u64)) {
        let now = 100 * DAY;
        let past = (1..=samples).rev().map(|back| (now - back * 7_200, 10_000 - back * by));
        (past.collect(), (now, 10_000))
    }

    #[test]
    fn a_quota_fills_at_the_rate_of_the_last_days() {
        let (past, now) = used(84, 10);
        let days = |outlook| match outlook {
            Outlook::In { left, over } => Some(((left as f64 / DAY as f64).round() as u64, over / DAY)),
            _ => None,
        };
        assert_eq!(days(outlook(&past, now, 11_440)), Some((12, 7)));
        let (day, now) = used(12, 10);
        assert_eq!(days(outlook(&day, now, 10_120)), Some((1, 1)), "as far back as is known");
        assert_eq!(outlook(&past, now, 10_000), Outlook::Full);
        assert_eq!(outlook(&[], now, 9_999), Outlook::Full, "whatever is known");
    }

    #[test]
    fn without_history_or_growth_no_day_is_named() {
        let (short, now) = used(10, 10);
        assert_eq!(outlook(&short, now, 20_000), Outlook::Unknown);
        assert_eq!(outlook(&[], now, 20_000), Outlook::Unknown);
        let (still, now) = used(84, 0);
        assert_eq!(outlook(&still, now, 20_000), Outlook::Far { over: 7 * DAY });
        let shrunk: Vec<_> = still.iter().map(|(at, _)| (*at, 15_000)).collect();
        assert_eq!(outlook(&shrunk, now, 20_000), Outlook::Far { over: 7 * DAY });
    }

    #[test]
    fn what_was_above_the_limit_then_does_not_mislead() {
        let (past, now) = used(84, 0);
        let above: Vec<_> = past.iter().map(|(at, _)| (*at, 30_000)).collect();
        assert_eq!(outlook(&above, now, 20_000), Outlook::Far { over: 7 * DAY });
    }
}
