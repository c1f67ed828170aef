//! Style sheets, scripts and icons: part of the program, compressed once, and named by what they hold, so that browsers keep them
//! for good.

use std::collections::BTreeMap;
use std::io::Write as _;

use actix_web::HttpResponse;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, VARY};
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest as _, Sha256};

#[derive(rust_embed::RustEmbed)]
#[folder = "static/"]
struct Embedded;

#[derive(Debug)]
struct Asset {
    kind: &'static str,
    plain: Bytes,
    gzipped: Bytes,
}

/// All assets.
#[derive(Debug)]
pub struct Assets {
    /// Names all of them together: scripts import each other by their names below it.
    version: String,
    by_name: BTreeMap<String, Asset>,
}

impl Assets {
    /// Those of this program.
    pub fn load() -> Self {
        let mut digest = Sha256::new();
        let mut by_name = BTreeMap::new();
        for name in Embedded::iter() {
            let Some(file) = Embedded::get(&name) else { continue };
            digest.update(name.as_bytes());
            digest.update(&file.data);
            let plain = Bytes::from(file.data.into_owned());
            by_name.insert(name.into_owned(), plain);
        }
        let version = hex::encode(digest.finalize()).chars().take(12).collect();
        let asset = |(name, plain): (String, Bytes)| {
            let gzipped = gzip(&plain);
            (name.clone(), Asset { kind: kind(&name), plain, gzipped })
        };
        Self { version, by_name: by_name.into_iter().map(asset).collect() }
    }

    /// The address of an asset, without the base.
    pub fn address(&self, name: &str) -> String {
        format!("/ui/static/{}/{name}", self.version)
    }

    /// Answers what stands behind `/ui/static/`; none where nothing does.
    pub fn answer(&self, path: &str, takes_gzip: bool) -> Option<HttpResponse> {
        let (version, name) = path.split_once('/')?;
        let asset = self.by_name.get(name)?;
        let mut response = HttpResponse::Ok();
        // An old page may still ask for what it was written with.
        let keep = if version == self.version { "public, max-age=31536000, immutable" } else { "no-cache" };
        response.insert_header((CACHE_CONTROL, keep)).insert_header((CONTENT_TYPE, asset.kind));
        response.insert_header((VARY, "accept-encoding"));
        Some(match takes_gzip {
            true => response.insert_header((CONTENT_ENCODING, "gzip")).body(asset.gzipped.clone()),
            false => response.body(asset.plain.clone()),
        })
    }
}

/// Compresses; what cannot be is empty, which does not happen in memory.
pub fn gzip(bytes: &[u8]) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    let written = encoder.write_all(bytes).and_then(|()| encoder.finish());
    Bytes::from(written.unwrap_or_default())
}

fn kind(name: &str) -> &'static str {
    match name.rsplit_once('.').map(|(_, end)| end) {
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("woff2") => "font/woff2",
        _ => "text/plain; charset=utf-8",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn budgets() {
        let assets = Assets::load();
        let scripts: usize =
            assets.by_name.iter().filter(|(name, _)| name.ends_with(".js")).map(|(_, asset)| asset.gzipped.len()).sum();
        assert!(scripts <= 40_000, "{scripts} bytes of compressed scripts");
        let styles: usize = assets
            .by_name
            .iter()
            .filter(|(name, _)| name.ends_with(".css"))
            .map(|(_, asset)| asset.gzipped.len())
            .sum();
        assert!(styles <= 20 * 1024, "{styles} bytes of compressed style sheets");
    }

    #[test]
    fn scripts_build_pages_from_nodes_and_text_alone() {
        let assets = Assets::load();
        for (name, asset) in &assets.by_name {
            let text = String::from_utf8_lossy(&asset.plain);
            for word in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function"] {
                assert!(!(name.ends_with(".js") && text.contains(word)), "{name}: {word}");
            }
            assert!(!name.ends_with(".js") || text.lines().count() <= 400, "{name} is long");
        }
    }

    #[test]
    fn only_what_is_there_is_answered() {
        let assets = Assets::load();
        assert!(assets.answer(&format!("{}/app.css", assets.version), true).is_some());
        for path in ["", "app.css", "x/../app.css", "x//app.css", "x/none"] {
            assert!(assets.answer(path, false).is_none(), "{path}");
        }
    }
}
