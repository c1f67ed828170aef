//! Windows of time into a history: moved and scaled within what is kept, and told by the series that tells it finest. Pure.
//!
//! Any window can be asked for. One that is too narrow for its series to show a line becomes wider around its middle, and one that
//! reaches beyond what is kept ends there.

/// Fewest steps of a series in a window.
const STEPS_MIN: u64 = 6;

/// The time that a history is kept for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kept {
    // INVARIANT: oldest < newest
    oldest: u64,
    newest: u64,
}

impl Kept {
    /// So many seconds until `now`, in seconds since 1970; one second at least.
    pub fn until(now: u64, seconds: u64) -> Self {
        let newest = now.max(1);
        Self { oldest: newest - seconds.clamp(1, newest), newest }
    }
}

/// A while between two moments, in seconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    // INVARIANT: begin < end
    begin: u64,
    end: u64,
}

impl Window {
    /// None unless it ends after it begins.
    pub fn new(begin: u64, end: u64) -> Option<Self> {
        (begin < end).then_some(Self { begin, end })
    }

    /// When it begins.
    pub fn begin(self) -> u64 {
        self.begin
    }

    /// When it ends.
    pub fn end(self) -> u64 {
        self.end
    }

    /// Whether what a point tells of ended within: after the beginning, and not after the end.
    pub fn holds(self, at: u64) -> bool {
        self.begin < at && at <= self.end
    }

    fn width(self) -> u64 {
        self.end - self.begin
    }

    /// As wide as is wanted, as near around a moment as what is kept allows.
    fn around(middle: u64, width: u64, kept: Kept) -> Self {
        let width = width.clamp(1, kept.newest - kept.oldest);
        let begin = middle.saturating_sub(width / 2).clamp(kept.oldest, kept.newest - width);
        Self { begin, end: begin + width }
    }

    /// What of it is kept, and at least so many seconds.
    fn fitted(self, kept: Kept, width_min: u64) -> Self {
        let begin = self.begin.clamp(kept.oldest, kept.newest);
        let width = self.end.clamp(kept.oldest, kept.newest) - begin;
        Self::around(begin + width / 2, width.max(width_min), kept)
    }

    /// Half a window before it; none where nothing older is kept. `step`: seconds from point to point.
    pub fn earlier(self, kept: Kept, step: u64) -> Option<Self> {
        let begin = self.begin.saturating_sub(self.width() / 2).max(kept.oldest);
        let is_moved = begin.saturating_add(step) <= self.begin;
        is_moved.then(|| Self { begin, end: begin + self.width() })
    }

    /// Half a window after it; none where nothing newer is kept.
    pub fn later(self, kept: Kept, step: u64) -> Option<Self> {
        let end = self.end.saturating_add(self.width() / 2).min(kept.newest);
        let is_moved = self.end.saturating_add(step) <= end;
        is_moved.then(|| Self { begin: end - self.width(), end })
    }

    /// Its middle, half as wide; none where that would be too narrow.
    pub fn closer(self, step: u64) -> Option<Self> {
        let width = self.width() / 2;
        let begin = self.begin + (self.width() - width) / 2;
        (width >= narrowest(step)).then(|| Self { begin, end: begin + width })
    }

    /// Twice as wide; none where no more is kept.
    pub fn wider(self, kept: Kept) -> Option<Self> {
        let middle = self.begin + self.width() / 2;
        let wider = Self::around(middle, self.width().saturating_mul(2), kept);
        (wider.width() > self.width()).then_some(wider)
    }
}

/// The narrowest window, in seconds, of a series with so many seconds from point to point.
fn narrowest(step: u64) -> u64 {
    step.saturating_mul(STEPS_MIN).max(1)
}

/// The number of the finest series that holds all of a window that any holds, and the window as that series can tell it.
/// `series`: of each, finest first, the seconds from point to point and when its first point begins, if it has one.
pub fn choose(wanted: Window, kept: Kept, series: &[(u64, Option<u64>)]) -> (usize, Window) {
    let oldest = series.iter().filter_map(|(_, begin)| *begin).min();
    let fitted = |step: u64| wanted.fitted(kept, narrowest(step));
    let told = series.iter().enumerate().find_map(|(number, (step, begin))| {
        let window = fitted(*step);
        // What lacks less than a step lacks no point.
        let wanted_from = window.begin.max(oldest?).saturating_add(*step);
        begin.is_some_and(|begin| begin <= wanted_from).then_some((number, window))
    });
    told.unwrap_or_else(|| (0, fitted(series.first().map_or(1, |(step, _)| *step))))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KEPT: Kept = Kept { oldest: 100_000, newest: 200_000 };

    fn window(begin: u64, end: u64) -> Window {
        Window::new(begin, end).unwrap()
    }

    #[test]
    fn a_window_ends_after_it_begins() {
        assert_eq!((Window::new(5, 5), Window::new(6, 5), Window::new(u64::MAX, 0)), (None, None, None));
        let it = window(5, 8);
        assert_eq!([4, 5, 6, 8, 9].map(|at| it.holds(at)), [false, false, true, true, false]);
    }

    #[test]
    fn it_is_fitted_into_what_is_kept() {
        for (wanted, fitted) in [
            ((110_000, 120_000), (110_000, 120_000)),
            ((0, u64::MAX), (100_000, 200_000)),
            ((0, 110_000), (100_000, 110_000)),
            ((190_000, 300_000), (190_000, 200_000)),
            ((150_000, 150_001), (149_970, 150_030)),
            ((199_999, 200_000), (199_940, 200_000)),
            ((1, 2), (100_000, 100_060)),
            ((u64::MAX - 1, u64::MAX), (199_940, 200_000)),
        ] {
            assert_eq!(window(wanted.0, wanted.1).fitted(KEPT, 60), window(fitted.0, fitted.1), "{wanted:?}");
        }
        assert_eq!(Kept::until(500, 9_000), Kept { oldest: 0, newest: 500 });
        assert_eq!(Kept::until(0, 0), Kept { oldest: 0, newest: 1 });
    }

    #[test]
    fn it_is_moved_and_scaled() {
        let it = window(150_000, 151_000);
        assert_eq!(it.earlier(KEPT, 10), Some(window(149_500, 150_500)));
        assert_eq!(it.later(KEPT, 10), Some(window(150_500, 151_500)));
        assert_eq!(it.closer(10), Some(window(150_250, 150_750)));
        assert_eq!(it.wider(KEPT), Some(window(149_500, 151_500)));
    }

    #[test]
    fn where_it_ends_nothing_leads_on() {
        let (first, last) = (window(100_000, 110_000), window(190_000, 200_000));
        assert_eq!((first.earlier(KEPT, 10), last.later(KEPT, 10)), (None, None));
        assert_eq!(window(100_009, 110_009).earlier(KEPT, 10), None, "less than a step");
        assert_eq!(window(101_000, 111_000).earlier(KEPT, 10), Some(first));
        assert_eq!(window(189_000, 199_000).later(KEPT, 10), Some(last));
        assert_eq!(last.wider(KEPT), Some(window(180_000, 200_000)));
        assert_eq!(window(100_000, 200_000).wider(KEPT), None);
        assert_eq!((window(150_000, 150_119).closer(10), window(150_000, 150_120).closer(10).is_some()), (None, true));
    }

    #[test]
    fn the_finest_series_that_reaches_back_tells() {
        let held = [(10, Some(196_400)), (240, Some(113_600)), (7_200, Some(100_000))];
        let chosen = |begin, end| choose(window(begin, end), KEPT, &held);
        assert_eq!(chosen(197_000, 198_000), (0, window(197_000, 198_000)));
        assert_eq!(chosen(196_390, 198_000), (0, window(196_390, 198_000)), "it lacks no point");
        assert_eq!(chosen(196_000, 198_000), (1, window(196_000, 198_000)));
        assert_eq!(chosen(150_000, 150_100), (1, window(149_330, 150_770)), "six of its steps");
        assert_eq!(chosen(100_000, 200_000), (2, window(100_000, 200_000)));
    }

    #[test]
    fn what_no_series_holds_misleads_none() {
        let early = window(101_000, 150_000);
        // A young history: the series begin at once, and none is older.
        assert_eq!(choose(early, KEPT, &[(10, Some(140_000)), (240, Some(139_999)), (7_200, None)]), (0, early));
        // A coarse series that began anew with every start.
        assert_eq!(choose(early, KEPT, &[(10, Some(120_000)), (240, Some(130_000))]), (0, early));
        assert_eq!(choose(early, KEPT, &[(10, None), (240, None)]), (0, early));
        assert_eq!(choose(early, KEPT, &[]), (0, early));
    }

    /// Seconds as there are some, and any.
    fn seconds() -> impl Strategy<Value = u64> {
        prop_oneof![0..3_000_000_u64, any::<u64>()]
    }

    proptest! {
        #[test]
        fn any_window_comes_to_lie_in_what_is_kept(
            (begin, end, now) in (seconds(), seconds(), seconds()),
            (step, length) in (0..10_000_u64, seconds()),
            begins in prop::array::uniform3(prop::option::of(seconds()))
        ) {
            let kept = Kept::until(now, length);
            prop_assert!(kept.oldest < kept.newest);
            let lies_within = |it: Window| it.begin < it.end && kept.oldest <= it.begin && it.end <= kept.newest;
            let Some(wanted) = Window::new(begin, end) else { return Ok(()) };
            let steps = [step, step.saturating_mul(24), step.saturating_mul(720)];
            let series: Vec<_> = steps.into_iter().zip(begins).collect();
            let (chosen, fitted) = choose(wanted, kept, &series);
            prop_assert!(chosen < 3 && lies_within(fitted));
            let width_min = narrowest(steps[chosen]).min(kept.newest - kept.oldest);
            prop_assert!(fitted.width() >= width_min);
            prop_assert_eq!(choose(fitted, kept, &series), (chosen, fitted), "it stays where it is");
            for it in [wanted, fitted] {
                let moved = [it.earlier(kept, step), it.later(kept, step)];
                prop_assert!(moved.into_iter().flatten().all(|other| other.width() == it.width()));
                let is_inside = |other: Window| it.begin <= other.begin && other.end <= it.end;
                prop_assert!(it.closer(step).is_none_or(|other| other.width() == it.width() / 2 && is_inside(other)));
                prop_assert!(it.wider(kept).is_none_or(|other| other.width() > it.width() && lies_within(other)));
            }
            let moved = [fitted.earlier(kept, step), fitted.later(kept, step)];
            prop_assert!(moved.into_iter().flatten().all(lies_within));
        }
    }
}
