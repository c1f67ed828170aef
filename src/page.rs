//! Pages of a list. Pure.
//!
//! A marker names the last item of the page before it, so what is added or removed between two pages neither repeats nor hides
//! another item.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// At most `max` items behind a marker, in the order of `key`, which tells each from all others; and the marker of what follows, if
/// something does. None for what is no marker.
pub fn cut<T>(
    items: impl IntoIterator<Item = T>,
    key: impl Fn(&T) -> String,
    max: usize,
    marker: Option<&str>,
) -> Option<(Vec<T>, Option<String>)> {
    let after = match marker {
        Some(marker) => Some(String::from_utf8(URL_SAFE_NO_PAD.decode(marker).ok()?).ok()?),
        None => None,
    };
    let mut keyed: Vec<(String, T)> = items.into_iter().map(|item| (key(&item), item)).collect();
    keyed.retain(|(key, _)| after.as_ref().is_none_or(|after| key > after));
    keyed.sort_by(|(a, _), (b, _)| a.cmp(b));
    let is_cut = keyed.len() > max;
    keyed.truncate(max);
    let next = keyed.last().filter(|_| is_cut).map(|(key, _)| URL_SAFE_NO_PAD.encode(key));
    Some((keyed.into_iter().map(|(_, item)| item).collect(), next))
}
