//! What can be shown of an object without running anything of it.

use std::sync::Arc;

use bytes::Bytes;
use myfsio_actors::names::{ObjectKey, VersionId};
use myfsio_actors::storage::{Bucket, Object};

use super::bytes::{Kind, kind_of};
use crate::console::failure::Failure;
use crate::console::parquet::{self, Presence, Summary, Unreadable};
use crate::console::preview_origin;
use crate::console::text::Text;
use crate::console::units::{bytes, count, legible};
use crate::console::visit::Visit;
use crate::within::{Asker, Wish, collect};

/// Bytes of a text that are shown.
pub const TEXT_BYTES_MAX: u64 = 256 * 1024;
/// Bytes at the end of a Parquet file that are asked for at first: most footers are within.
const PARQUET_END_BYTES: u64 = 64 * 1024;

/// What the page shows of an object.
pub enum Preview {
    /// Nothing.
    None,
    /// The image at this address.
    Image(String),
    /// The video at this address.
    Video(String),
    /// The sound at this address.
    Audio(String),
    /// A text, or its beginning.
    Text {
        /// The text.
        text: String,
        /// Whether there is more.
        is_cut: bool,
    },
    /// What is in a Parquet file.
    Parquet(Table),
    /// The PDF at this address, of another origin.
    Pdf(String),
    /// Why nothing is.
    Unreadable(&'static str),
}

/// What a Parquet file says of itself.
pub struct Table {
    /// Words and figures of the whole.
    pub figures: Vec<(&'static str, String)>,
    /// Its columns.
    pub columns: Vec<ColumnRow>,
    /// How many more it has.
    pub left_out: Option<String>,
}

/// A column.
pub struct ColumnRow {
    /// How far it is indented.
    pub indent: String,
    /// Its name.
    pub name: String,
    /// What its values are.
    pub kind: String,
    /// How often it is there.
    pub presence: &'static str,
}

/// An object that the page is of.
pub struct Subject<'a> {
    /// Its bucket.
    pub bucket: &'a Arc<Bucket>,
    /// Its key.
    pub key: &'a ObjectKey,
    /// The version that is asked for.
    pub version: Option<VersionId>,
    /// The object.
    pub object: &'a Object,
}

/// What can be shown of an object. `view`: where its bytes are shown, without the base. Errs: the node could not read it.
pub async fn of(visit: &Visit, subject: &Subject<'_>, view: &str) -> Result<Preview, Failure> {
    let asker = visit.asker()?;
    let Subject { bucket, key, object, .. } = subject;
    let is_coded = object.attributes.content_encoding.is_some();
    if object.size == 0 || is_coded || !asker.may("s3:GetObject", Some(bucket), Some(key.as_str())) {
        return Ok(Preview::None);
    }
    let address = || format!("{}{view}", visit.console.settings.base());
    Ok(match kind_of(key.as_str(), object.attributes.content_type.as_deref()) {
        Some(Kind::Image(_)) => Preview::Image(address()),
        Some(Kind::Video(_)) => Preview::Video(address()),
        Some(Kind::Audio(_)) => Preview::Audio(address()),
        Some(Kind::Text) => text(asker, subject).await?,
        Some(Kind::Parquet) => parquet(visit.t, asker, subject).await?,
        Some(Kind::Pdf) => preview_origin::link(visit, subject).await.map_or(Preview::None, Preview::Pdf),
        None => Preview::None,
    })
}

/// Some bytes of the object, `length` of them from `first`; none where they may not be read, as of objects under customers' keys.
pub async fn part(asker: &Asker, subject: &Subject<'_>, first: u64, length: u64) -> Result<Option<Bytes>, Failure> {
    let range = format!("bytes={first}-{}", first.saturating_add(length).saturating_sub(1));
    let id = subject.version.map(|version| version.to_string());
    let query: Vec<_> = id.as_deref().map(|id| ("versionId", id)).into_iter().collect();
    let wish = Wish {
        bucket: Some(&subject.bucket.name),
        key: Some(subject.key),
        query: &query,
        headers: &[("range", range.as_str())],
        ..Wish::default()
    };
    let Ok(answer) = asker.s3(wish).await else { return Ok(None) };
    Ok(Some(collect(answer, usize::try_from(length).unwrap_or(usize::MAX)).await?))
}

async fn text(asker: &Asker, subject: &Subject<'_>) -> Result<Preview, Failure> {
    let size = subject.object.size;
    let Some(read) = part(asker, subject, 0, size.min(TEXT_BYTES_MAX)).await? else { return Ok(Preview::None) };
    let text = String::from_utf8_lossy(&read).replace('\0', "\u{2400}");
    Ok(Preview::Text { text, is_cut: size > TEXT_BYTES_MAX })
}

/// The schema, from the file's end: one short range, and another where the footer is longer.
async fn parquet(words: &'static Text, asker: &Asker, subject: &Subject<'_>) -> Result<Preview, Failure> {
    let size = subject.object.size;
    let first = PARQUET_END_BYTES.min(size);
    let Some(mut end) = part(asker, subject, size - first, first).await? else { return Ok(Preview::None) };
    let wanted = parquet::footer_bytes(&end).map(|length| length.saturating_add(parquet::TAIL_BYTES));
    if let Ok(wanted) = wanted
        && wanted > first
        && wanted <= size
    {
        let Some(longer) = part(asker, subject, size - wanted, wanted).await? else { return Ok(Preview::None) };
        end = longer;
    }
    let summary = wanted.and_then(|wanted| {
        let begin = usize::try_from(wanted).ok().and_then(|wanted| end.len().checked_sub(wanted));
        let footer = begin.and_then(|begin| end.get(begin..)).ok_or(Unreadable::Broken)?;
        parquet::read(footer)
    });
    let t = &words.object;
    Ok(match summary {
        Ok(summary) => Preview::Parquet(table(words, summary)),
        Err(Unreadable::NotParquet) => Preview::Unreadable(t.parquet_none),
        Err(Unreadable::Encrypted) => Preview::Unreadable(t.parquet_encrypted),
        Err(Unreadable::TooLarge) => Preview::Unreadable(t.parquet_large),
        Err(Unreadable::Broken) => Preview::Unreadable(t.parquet_broken),
    })
}

fn table(words: &'static Text, summary: Summary) -> Table {
    let t = &words.object;
    let mut figures = vec![
        (t.parquet_rows, count(summary.rows)),
        (t.parquet_columns, count(summary.values as u64)),
        (t.parquet_groups, count(summary.row_groups)),
        (t.parquet_unpacked, bytes(summary.bytes)),
    ];
    if !summary.codecs.is_empty() {
        figures.push((t.parquet_codecs, summary.codecs.join(", ")));
    }
    if !summary.created_by.is_empty() {
        figures.push((t.parquet_written, legible(&summary.created_by)));
    }
    let row = |column: parquet::Column| ColumnRow {
        // Spaces that do not fold.
        indent: "\u{a0}\u{a0}\u{a0}\u{a0}".repeat(column.depth.min(8)),
        name: legible(&column.name),
        kind: column.kind,
        presence: match column.presence {
            Presence::Required => t.parquet_required,
            Presence::Optional => t.parquet_optional,
            Presence::Repeated => t.parquet_repeated,
        },
    };
    Table {
        figures,
        columns: summary.columns.into_iter().map(row).collect(),
        left_out: (summary.columns_left_out > 0).then(|| count(summary.columns_left_out as u64)),
    }
}
