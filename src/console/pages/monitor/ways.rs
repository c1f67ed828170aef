//! The ways from a window of time to others: earlier, later, closer, wider. Pure.

use crate::console::links;
use crate::console::text::Monitor;
use crate::metrics::window::{Kept, Window};

/// The fields that name a window in an address of a page.
pub fn fields(window: Window) -> Vec<(&'static str, String)> {
    vec![("from", window.begin().to_string()), ("to", window.end().to_string())]
}

/// An address below the metrics with fields.
pub fn address(path: &[&str], fields: &[(&'static str, String)], more: &[(&str, &str)]) -> String {
    let fields = fields.iter().map(|(name, value)| (*name, value.as_str()));
    links::link(path, &fields.chain(more.iter().copied()).collect::<Vec<_>>())
}

/// The word and the address of each way that leads somewhere else. `step`: seconds from point to point.
pub fn ways(words: &Monitor, window: Window, step: u64, kept: Kept) -> Vec<(&'static str, String)> {
    let all = [
        (words.earlier, window.earlier(kept, step)),
        (words.later, window.later(kept, step)),
        (words.closer, window.closer(step)),
        (words.wider, window.wider(kept)),
    ];
    let led = |(word, to): (_, Option<Window>)| Some((word, address(&["metrics"], &fields(to?), &[])));
    all.into_iter().filter_map(led).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_ways_that_lead_somewhere_are_offered() {
        let (words, kept) = (&Monitor::ENGLISH, Kept::until(200_000, 100_000));
        let offered = |begin, end| ways(words, Window::new(begin, end).unwrap(), 10, kept);
        assert_eq!(
            offered(198_000, 200_000),
            [
                ("Earlier", "/ui/metrics?from=197000&to=199000".to_owned()),
                ("Closer", "/ui/metrics?from=198500&to=199500".to_owned()),
                ("Wider", "/ui/metrics?from=196000&to=200000".to_owned()),
            ]
        );
        let all: Vec<_> = offered(100_000, 200_000).into_iter().map(|(word, _)| word).collect();
        assert_eq!(all, ["Closer"]);
        let narrow: Vec<_> = offered(150_000, 150_060).into_iter().map(|(word, _)| word).collect();
        assert_eq!(narrow, ["Earlier", "Later", "Wider"]);
    }
}
