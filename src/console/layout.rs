//! What stands around every page: navigation by permission, where one is, colours, version, endpoint, notices and warnings.

use myfsio_actors::storage::Bucket;

use super::commands::Command;
use super::help::Told;
use super::links;
use super::notice::Notice;
use super::text::{Common, Text};
use crate::within::Asker;

/// Whose names a page shows.
#[derive(Debug, Clone)]
pub struct UserView {
    /// Its display name.
    pub name: String,
    /// The access key that it signed in with.
    pub access_key: String,
}

/// One step of the way to a page.
#[derive(Debug, Clone)]
pub struct Crumb {
    /// What it is called.
    pub label: String,
    /// Its address without the base; empty for the page itself.
    pub address: String,
}

/// An entry of the navigation.
#[derive(Debug)]
pub struct NavEntry {
    group: fn(&Common) -> &'static str,
    label: fn(&Text) -> &'static str,
    icon: &'static str,
    path: &'static str,
    shown: fn(&Asker) -> bool,
}

const EVERYBODY: fn(&Asker) -> bool = |_| true;

/// The navigation, in its order. Hiding an entry decides nothing: its page asks.
pub const NAV: &[NavEntry] = &[
    NavEntry {
        group: |common| common.overview,
        label: |text| text.home.title,
        icon: "gauge",
        path: "/ui",
        shown: EVERYBODY,
    },
    NavEntry {
        group: |common| common.storage,
        label: |text| text.buckets.title,
        icon: "bucket",
        path: "/ui/buckets",
        shown: EVERYBODY,
    },
    NavEntry {
        group: |common| common.storage,
        label: |text| text.replication.connections,
        icon: "sync",
        path: "/ui/connections",
        shown: Asker::is_administrator,
    },
    NavEntry {
        group: |common| common.storage,
        label: |text| text.jobs.title,
        icon: "play",
        path: "/ui/jobs",
        shown: EVERYBODY,
    },
    NavEntry {
        group: |common| common.access,
        label: |text| text.iam.title,
        icon: "user",
        path: "/ui/iam",
        shown: Asker::is_administrator,
    },
    NavEntry {
        group: |common| common.access,
        label: |text| text.groups.title,
        icon: "users",
        path: "/ui/groups",
        shown: Asker::is_administrator,
    },
    NavEntry {
        group: |common| common.access,
        label: |text| text.groups.policies,
        icon: "book",
        path: "/ui/policies",
        shown: Asker::is_administrator,
    },
    NavEntry {
        group: |common| common.access,
        label: |text| text.kms.title,
        icon: "key",
        path: "/ui/kms",
        shown: Asker::is_administrator,
    },
    NavEntry {
        group: |common| common.access,
        label: |text| text.monitor.why_title,
        icon: "info",
        path: "/ui/why",
        shown: EVERYBODY,
    },
    NavEntry {
        group: |common| common.node,
        label: |text| text.monitor.metrics_title,
        icon: "activity",
        path: "/ui/metrics",
        shown: Asker::is_administrator,
    },
    NavEntry {
        group: |common| common.node,
        label: |text| text.monitor.requests_title,
        icon: "list",
        path: "/ui/requests",
        shown: Asker::is_administrator,
    },
    NavEntry {
        group: |common| common.node,
        label: |text| text.monitor.trace_title,
        icon: "eye",
        path: "/ui/trace",
        shown: Asker::is_administrator,
    },
    NavEntry {
        group: |common| common.node,
        label: |text| text.monitor.audit_title,
        icon: "history",
        path: "/ui/audit",
        shown: Asker::is_administrator,
    },
    NavEntry {
        group: |common| common.node,
        label: |text| text.node.check_title,
        icon: "check",
        path: "/ui/self-check",
        shown: Asker::is_administrator,
    },
    NavEntry {
        group: |common| common.node,
        label: |text| text.node.integrity_title,
        icon: "shield",
        path: "/ui/integrity",
        shown: Asker::is_administrator,
    },
    NavEntry {
        group: |common| common.node,
        label: |text| text.node.backups_title,
        icon: "copy",
        path: "/ui/backups",
        shown: Asker::is_administrator,
    },
    NavEntry {
        group: |common| common.node,
        label: |text| text.node.settings_title,
        icon: "sliders",
        path: "/ui/settings",
        shown: Asker::is_administrator,
    },
    NavEntry {
        group: |common| common.node,
        label: |text| text.node.guide_title,
        icon: "book",
        path: "/ui/guide",
        shown: EVERYBODY,
    },
];

/// A tab of a bucket's pages.
#[derive(Debug)]
pub struct TabEntry {
    label: fn(&Text) -> &'static str,
    icon: &'static str,
    page: &'static str,
    shown: fn(&Asker, &Bucket) -> bool,
}

/// The tabs of a bucket, in their order.
pub const BUCKET_TABS: &[TabEntry] = &[
    TabEntry { label: |text| text.browse.title, icon: "files", page: "browse", shown: |_, _| true },
    TabEntry {
        label: |text| text.space.title,
        icon: "gauge",
        page: "space",
        shown: |asker, bucket| asker.may("s3:ListBucket", Some(bucket), None),
    },
    TabEntry { label: |text| text.properties.title, icon: "sliders", page: "properties", shown: |_, _| true },
    TabEntry {
        label: |text| text.policy.title,
        icon: "shield",
        page: "policy",
        shown: |asker, bucket| asker.may("s3:GetBucketPolicy", Some(bucket), None),
    },
    TabEntry {
        label: |text| text.replication.title,
        icon: "sync",
        page: "replication",
        shown: |asker, bucket| asker.may("s3:GetReplicationConfiguration", Some(bucket), None),
    },
    TabEntry {
        label: |text| text.browse.unfinished,
        icon: "history",
        page: "uploads",
        shown: |asker, bucket| asker.may("s3:ListBucketMultipartUploads", Some(bucket), None),
    },
];

/// What the tabs of a bucket are called, and their pages.
pub fn tab_names(text: &'static Text) -> impl Iterator<Item = (&'static str, &'static str)> {
    BUCKET_TABS.iter().map(|entry| ((entry.label)(text), entry.page))
}

/// A link of the navigation or of a row of tabs.
#[derive(Debug, Clone)]
pub struct Item {
    /// What it is called.
    pub label: &'static str,
    /// Its icon.
    pub icon: &'static str,
    /// Its address without the base.
    pub address: String,
    /// Whether the page is it, or below it.
    pub is_current: bool,
}

/// Items under one heading.
#[derive(Debug, Clone)]
pub struct Group {
    /// The heading.
    pub label: &'static str,
    /// Its items.
    pub items: Vec<Item>,
}

/// What stands around a page.
#[derive(Debug)]
pub struct Page {
    /// The page's own title.
    pub title: String,
    /// The words.
    pub t: &'static Text,
    /// What stands before `/ui` in addresses.
    pub base: String,
    /// Address of the assets, without a name.
    pub assets: String,
    /// `light`, `dark` or `auto`.
    pub theme: &'static str,
    /// In which zone scripts tell times: `utc`, or `local`, the browser's.
    pub zone: &'static str,
    /// The node's version.
    pub version: &'static str,
    /// Where programs reach the API.
    pub endpoint: String,
    /// The node's region.
    pub region: String,
    /// Who has signed in.
    pub user: Option<UserView>,
    /// The navigation.
    pub nav: Vec<Group>,
    /// Tabs of the bucket that the page is of.
    pub tabs: Vec<Item>,
    /// The way here.
    pub crumbs: Vec<Crumb>,
    /// The token of forms.
    pub csrf: String,
    /// What the last change told.
    pub notices: Vec<Notice>,
    /// What is wrong with the node, for those whom it concerns.
    pub warnings: Vec<String>,
    /// What it shows, as programs ask for it; none where it shows its own commands.
    pub commands: Vec<Command>,
    /// What is told of the screen.
    pub help: Option<Told>,
    /// Address of this page, without the base, to come back to.
    pub here: String,
}

impl Page {
    /// An address with what stands before it.
    pub fn at(&self, address: &str) -> String {
        format!("{}{address}", self.base)
    }

    /// The address of an asset.
    pub fn asset(&self, name: &str) -> String {
        format!("{}{}{name}", self.base, self.assets)
    }

    /// The listing of a bucket, or below a prefix of it.
    pub fn browse(&self, bucket: &str, prefix: &str) -> String {
        self.at(&links::browse(bucket, prefix))
    }

    /// A page of a bucket.
    pub fn of_bucket(&self, bucket: &str, page: &str) -> String {
        self.at(&links::bucket(bucket, page))
    }

    /// The same page with a further step on the way to it.
    #[must_use]
    pub fn crumb(mut self, label: impl Into<String>, address: impl Into<String>) -> Self {
        self.crumbs.push(Crumb { label: label.into(), address: address.into() });
        self
    }

    /// The same page as one of a bucket.
    #[must_use]
    pub fn for_bucket(mut self, asker: &Asker, bucket: &Bucket, page: &str) -> Self {
        let name = bucket.name.as_str();
        self.tabs = bucket_tabs(self.t, asker, bucket, page);
        let buckets = self.t.buckets.title;
        self.crumb(buckets, "/ui/buckets").crumb(name, links::bucket(name, "browse"))
    }
}

/// The navigation of somebody on the page of this path.
pub fn navigation(text: &'static Text, asker: &Asker, path: &str) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for entry in NAV.iter().filter(|entry| (entry.shown)(asker)) {
        let label = (entry.group)(&text.common);
        let below = path.strip_prefix(entry.path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        let is_current = if entry.path == "/ui" { path == "/ui" } else { below };
        let item = Item { label: (entry.label)(text), icon: entry.icon, address: entry.path.to_owned(), is_current };
        match groups.last_mut().filter(|group| group.label == label) {
            Some(group) => group.items.push(item),
            None => groups.push(Group { label, items: vec![item] }),
        }
    }
    groups
}

/// The tabs of a bucket that somebody sees; `page`: of the one that is open.
pub fn bucket_tabs(text: &'static Text, asker: &Asker, bucket: &Bucket, page: &str) -> Vec<Item> {
    let shown = BUCKET_TABS.iter().filter(|entry| (entry.shown)(asker, bucket));
    shown
        .map(|entry| Item {
            label: (entry.label)(text),
            icon: entry.icon,
            address: links::bucket(bucket.name.as_str(), entry.page),
            is_current: entry.page == page,
        })
        .collect()
}
