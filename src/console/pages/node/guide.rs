//! How programs reach this node: commands that work as they stand, and where to go on.

use askama::Template;

use crate::console::commands::{self, Command};
use crate::console::help;
use crate::console::layout::{Page, navigation, tab_names};
use crate::console::links;
use crate::console::route::Outcome;
use crate::console::units::bytes;
use crate::console::visit::{Visit, render};
use crate::within::Asker;

/// Largest object that parts can make up, in bytes (S3 User Guide, "Amazon S3 multipart upload limits").
const OBJECT_BYTES_MAX: u64 = 5 << 40;

#[derive(Template)]
#[template(path = "node/guide.html")]
struct GuidePage {
    page: Page,
    credentials: String,
    programs: Vec<(&'static str, Command)>,
    domains: Vec<String>,
    limits: Vec<(&'static str, String)>,
    is_admin: bool,
    screens: Vec<Screen>,
}

/// A screen, and what is told of it.
struct Screen {
    name: &'static str,
    /// Its address without the base; empty for a tab of a bucket.
    address: String,
    lines: Vec<&'static str>,
}

/// The screens that somebody finds in the navigation, then the tabs of a bucket.
fn screens(visit: &Visit, asker: &Asker) -> Vec<Screen> {
    let items = navigation(visit.t, asker, "").into_iter().flat_map(|group| group.items);
    let items = items.map(|item| (item.label, item.address.clone(), item.address));
    let tabs = tab_names(visit.t).map(|(name, page)| (name, links::bucket("bucket", page), String::new()));
    let told = |(name, path, address): (&'static str, String, String)| {
        help::of(visit.t, &path).map(|told| Screen { name, address, lines: told.lines })
    };
    items.chain(tabs).filter_map(told).collect()
}

/// The page.
pub async fn show(visit: Visit) -> Outcome {
    let asker = visit.asker()?;
    let settings = &visit.console.node.settings;
    let (endpoint, region, words) = (asker.endpoint(), &settings.region, &visit.t.node);
    let key = visit.signed_in.as_ref().map(|who| who.session.access_key.clone()).unwrap_or_default();
    let named = |program: &str| match program {
        "aws" => words.guide_aws,
        "boto3" => words.guide_boto3,
        "mc" => words.guide_mc,
        "rclone" => words.guide_rclone,
        "s3cmd" => words.guide_s3cmd,
        _ => words.guide_curl,
    };
    let programs = commands::of_node(&endpoint, region);
    let view = GuidePage {
        credentials: commands::credentials(&endpoint, region, &key),
        programs: programs.into_iter().map(|command| (named(command.program), command)).collect(),
        domains: settings.base_domains.clone(),
        limits: vec![
            (words.limit_upload, bytes(settings.max_upload_size)),
            (words.limit_part, bytes(settings.multipart_min_part_size)),
            (words.limit_object, bytes(OBJECT_BYTES_MAX)),
        ],
        is_admin: asker.is_administrator(),
        screens: screens(&visit, asker),
        page: visit.page(words.guide_title),
    };
    render(&view)
}
