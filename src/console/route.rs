//! The table of routes: one row for each, with who it is for. Rows stand beside the page that answers them (`pages/<screen>.rs`).
//!
//! Who a row is for decides nothing: it is what the test of roles and routes expects of the decisions that the page asks for. The
//! one exception is [`Role::Anonymous`]: without it nobody gets in who has not signed in.

use actix_web::HttpResponse;
use futures_util::future::LocalBoxFuture;

use super::failure::Failure;
pub use super::pages::SCREENS;
use super::visit::Visit;

/// What a page gives back.
pub type Outcome = Result<HttpResponse, Failure>;
/// What answers a row.
pub type Handler = fn(Visit) -> LocalBoxFuture<'static, Outcome>;

/// Who asks, in the test's world: it has a bucket `shared` with an object `folder/a.txt`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Has not signed in.
    Anonymous,
    /// `[{"bucket":"*","actions":["list","read"]}]`.
    Reader,
    /// `[{"bucket":"shared","actions":["list","read","write","delete"]}]`.
    Writer,
    /// `[{"bucket":"shared","actions":["list","read","replication"]}]`.
    Replicator,
    /// The node's administrator.
    Admin,
}

/// For everybody, signed in or not.
pub const ANYONE: &[Role] = &[Role::Anonymous, Role::Reader, Role::Writer, Role::Replicator, Role::Admin];
/// For whoever has signed in.
pub const SIGNED_IN: &[Role] = &[Role::Reader, Role::Writer, Role::Replicator, Role::Admin];
/// For whoever may write to the bucket.
pub const WRITERS: &[Role] = &[Role::Writer, Role::Admin];
/// For whoever may replicate the bucket.
pub const REPLICATORS: &[Role] = &[Role::Replicator, Role::Admin];
/// For administrators.
pub const ADMINS: &[Role] = &[Role::Admin];

/// How the body of a row's request is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Body {
    /// As a form of at most 1 MiB, before the page is asked. Its field `csrf` is checked.
    Form,
    /// By the page, piece by piece. The header `x-csrf-token` is checked.
    Stream,
    /// By the page, piece by piece: a form with files, whose first field is `csrf`, which the page checks
    /// (`Visit::check_token`).
    Files,
}

/// A route.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// Its method. `GET` also answers `HEAD`, and changes nothing.
    pub method: &'static str,
    /// Its path: segments, of which those in braces are names of parameters.
    pub path: &'static str,
    /// Who it is for.
    pub open_to: &'static [Role],
    /// How its body is read.
    pub body: Body,
    /// Query, or form, of the test's request, which must be one that works or fails for another reason than permissions.
    pub sample: &'static str,
    /// The page.
    pub handler: Handler,
}

impl Row {
    /// A page that is read.
    pub const fn get(path: &'static str, open_to: &'static [Role], handler: Handler) -> Self {
        Self { method: "GET", path, open_to, body: Body::Form, sample: "", handler }
    }

    /// A form.
    pub const fn post(path: &'static str, open_to: &'static [Role], handler: Handler) -> Self {
        Self { method: "POST", path, open_to, body: Body::Form, sample: "", handler }
    }

    /// What a script sends.
    pub const fn put(path: &'static str, open_to: &'static [Role], handler: Handler) -> Self {
        Self { method: "PUT", path, open_to, body: Body::Stream, sample: "", handler }
    }

    /// The same, tested by this query or form.
    pub const fn tested_by(self, sample: &'static str) -> Self {
        Self { sample, ..self }
    }

    /// The same, with a body that the page reads.
    pub const fn reading(self, body: Body) -> Self {
        Self { body, ..self }
    }

    /// Whether it may be asked without a session.
    pub fn is_open(&self) -> bool {
        self.open_to.contains(&Role::Anonymous)
    }
}

/// What a path leads to.
#[derive(Debug)]
pub enum Found {
    /// A row, and what stands in the place of its parameters.
    Row(&'static Row, Vec<(&'static str, String)>),
    /// Rows of other methods: these.
    OtherMethods(String),
    /// Nothing.
    Nothing,
}

/// All rows.
pub fn rows() -> impl Iterator<Item = &'static Row> {
    SCREENS.iter().flat_map(|rows| rows.iter())
}

/// Finds the row of a method and a path as it was sent.
pub fn find(method: &str, path: &str) -> Found {
    let method = if method == "HEAD" { "GET" } else { method };
    let mut others: Vec<&str> = Vec::new();
    for row in rows() {
        let Some(parameters) = matches(row.path, path) else { continue };
        if row.method == method {
            return Found::Row(row, parameters);
        }
        if !others.contains(&row.method) {
            others.push(row.method);
        }
    }
    if others.is_empty() { Found::Nothing } else { Found::OtherMethods(others.join(", ")) }
}

fn matches(pattern: &'static str, path: &str) -> Option<Vec<(&'static str, String)>> {
    let path = if path.len() > 1 { path.strip_suffix('/').unwrap_or(path) } else { path };
    let (mut wanted, mut given) = (pattern.split('/'), path.split('/'));
    let mut parameters = Vec::new();
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return Some(parameters),
            (Some(wanted), Some(given)) => match wanted.strip_prefix('{').and_then(|name| name.strip_suffix('}')) {
                Some(name) if !given.is_empty() => {
                    let value = percent_encoding::percent_decode_str(given).decode_utf8().ok()?;
                    parameters.push((name, value.into_owned()));
                }
                None if wanted == given => {}
                _ => return None,
            },
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        let named = |path| matches("/ui/buckets/{bucket}/browse", path);
        assert_eq!(named("/ui/buckets/a%20b/browse").unwrap(), [("bucket", "a b".to_owned())]);
        assert!(named("/ui/buckets/a/browse/").is_some());
        for path in ["/ui/buckets//browse", "/ui/buckets/a", "/ui/buckets/a/browse/x", "/ui/buckets/%ff/browse", ""] {
            assert!(named(path).is_none(), "{path}");
        }
    }

    #[test]
    fn no_row_hides_another() {
        let all: Vec<_> = rows().collect();
        for (at, row) in all.iter().enumerate() {
            assert!(row.path.starts_with("/ui"), "{}", row.path);
            assert!(!row.open_to.is_empty(), "{}", row.path);
            assert!(matches!(row.method, "GET" | "POST" | "PUT"), "{}", row.path);
            for earlier in all.iter().take(at).filter(|earlier| earlier.method == row.method) {
                assert!(matches(earlier.path, &row.path.replace(['{', '}'], "")).is_none(), "{}", row.path);
            }
        }
    }
}
