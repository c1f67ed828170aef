//! When a device will be full, if it goes on like this. Pure.

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
}
