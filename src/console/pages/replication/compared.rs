//! What a comparison found, and conflicts side by side, as the page of a bucket's replication shows them.

use super::told::{Comparison, Conflict, Side};
use crate::console::text::Replication;
use crate::console::units::{bytes, count, legible};

/// A report.
pub struct ReportView {
    /// How far it is.
    pub word: &'static str,
    /// Tone of that.
    pub tone: &'static str,
    /// Why it failed.
    pub reason: String,
    /// Whether differences are queued.
    pub repairs: bool,
    /// When it began and ended.
    pub times: Vec<(&'static str, String)>,
    /// Words and numbers.
    pub figures: Vec<(&'static str, String)>,
    /// Kind, key and version.
    pub samples: Vec<(&'static str, String, String)>,
}

/// A report; none where nothing was compared.
pub fn report(words: &'static Replication, of: &Comparison) -> Option<ReportView> {
    let (word, tone) = match of.state.as_str() {
        "running" => (words.report_running, "accent"),
        "done" if of.missing == 0 && of.different == 0 => (words.report_done, "good"),
        "done" => (words.report_done, "warn"),
        "cancelled" => (words.report_cancelled, ""),
        "failed" => (words.report_failed, "bad"),
        _ => return None,
    };
    let kind = |name: &str| match name {
        "missing" => words.report_missing,
        "different" => words.report_different,
        _ => words.report_extra,
    };
    let samples =
        of.samples.iter().map(|sample| (kind(&sample.difference), legible(&sample.key), sample.version_id.clone()));
    let began = (words.report_began, moment(&of.started));
    let ended = of.ended.as_deref().map(|ended| (words.report_ended, moment(ended)));
    Some(ReportView {
        word,
        tone,
        reason: of.reason.as_deref().map(legible).unwrap_or_default(),
        repairs: of.repairs,
        times: [began].into_iter().chain(ended).collect(),
        figures: vec![
            (words.report_compared, count(of.compared)),
            (words.report_same, count(of.same)),
            (words.report_missing, count(of.missing)),
            (words.report_different, count(of.different)),
            (words.report_extra, count(of.extra)),
            (words.report_queued, count(of.queued)),
        ],
        samples: samples.collect(),
    })
}

/// A conflict.
pub struct ConflictView {
    /// The key as it is, for forms.
    pub key: String,
    /// The key as it is shown.
    pub shown: String,
    /// The version that lost.
    pub version_id: String,
    /// What lost.
    pub copy: SideView,
    /// What holds; none where that is a delete.
    pub current: Option<SideView>,
}

/// One side of it.
pub struct SideView {
    /// When it was written.
    pub time: String,
    /// Its size.
    pub size: String,
    /// Its entity tag.
    pub etag: String,
    /// Where it was written.
    pub origin: String,
}

/// Both sides. `own`: this node's id.
pub fn conflict(words: &'static Replication, own: &str, told: Conflict) -> ConflictView {
    let side = |side: &Side| SideView {
        time: moment(&side.last_modified),
        size: bytes(side.size),
        etag: side.etag.trim_matches('"').to_owned(),
        origin: match side.origin.as_deref() {
            Some(origin) if origin != own => legible(origin),
            _ => words.this_node.to_owned(),
        },
    };
    ConflictView {
        shown: legible(&told.key),
        key: told.key,
        version_id: told.copy.version_id.clone(),
        current: told.current.as_ref().map(side),
        copy: side(&told.copy),
    }
}

/// A time that was told as RFC 3339, to the second.
pub fn moment(text: &str) -> String {
    let (seconds, _) = text.split_once('.').unwrap_or((text.trim_end_matches('Z'), ""));
    format!("{} UTC", seconds.replace('T', " "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_to_the_second() {
        for text in ["2026-11-26T10:00:00.123Z", "2026-11-26T10:00:00Z"] {
            assert_eq!(moment(text), "2026-11-26 10:00:00 UTC");
        }
    }

    #[test]
    fn nothing_compared_is_no_report() {
        let words = &crate::console::text::ENGLISH.replication;
        let of = |state: &str, missing| {
            let comparison = Comparison { state: state.to_owned(), missing, ..Comparison::default() };
            report(words, &comparison).map(|view| view.tone)
        };
        assert_eq!(
            [of("none", 0), of("done", 0), of("done", 1), of("failed", 0)],
            [None, Some("good"), Some("warn"), Some("bad")]
        );
    }
}
