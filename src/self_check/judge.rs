//! What is to be thought of what was found. Pure.

use myfsio_actors::names::Stamp;

use super::deployment::Deployment;
use super::facts::Facts;
use super::{Check, Verdict};
use crate::tls::{Standing, Term};

/// No clock is right that shows an earlier time: 2025-01-01.
const EARLIEST: Stamp = Stamp(1_735_689_600_000_000_000);
/// How far the clocks of machine and file system may be apart, in seconds.
const CLOCKS_APART_MAX: u64 = 5;
/// Free space below which a device is nearly full, in percent.
const FREE_PERCENT_MIN: u64 = 10;
/// Files for which there is room, below which they are nearly used up, in percent.
const FILES_PERCENT_MIN: u64 = 5;

/// File systems by their magic numbers (statfs(2)), and what is to be thought of them.
const FILE_SYSTEMS: [(u64, &str, Verdict, &str); 13] = [
    (0xEF53, "ext4", Verdict::Good, ""),
    (0x5846_5342, "XFS", Verdict::Good, ""),
    (0x9123_683E, "Btrfs", Verdict::Good, ""),
    (0x2FC1_2FC1, "ZFS", Verdict::Good, ""),
    (0xF2F5_2010, "F2FS", Verdict::Good, ""),
    (0x0102_1994, "tmpfs", Verdict::Bad, IN_MEMORY),
    (0x8584_58F6, "ramfs", Verdict::Bad, IN_MEMORY),
    (
        0x794C_7630,
        "overlayfs",
        Verdict::Warn,
        "This is a container's own layer, which goes with the container. Mount a volume at STORAGE_ROOT.",
    ),
    (0x6969, "NFS", Verdict::Warn, OVER_NETWORK),
    (0xFF53_4D42, "CIFS", Verdict::Warn, OVER_NETWORK),
    (0xFE53_4D42, "SMB", Verdict::Warn, OVER_NETWORK),
    (
        0x6573_5546,
        "FUSE",
        Verdict::Warn,
        "What survives power loss depends on the program behind this file system. Use a local one, such as ext4 or XFS.",
    ),
    (0x4D44, "FAT", Verdict::Bad, "It knows neither permissions nor safe renames. Use ext4 or XFS."),
];
const IN_MEMORY: &str = "Everything is lost when the machine restarts. Put STORAGE_ROOT on a disk.";
const OVER_NETWORK: &str = "What survives power loss depends on the server behind it, and locks may not hold. Use a local file system, such as ext4 or XFS.";

/// Every check, in the order in which they are shown.
pub fn judge(deployment: &Deployment, facts: &Facts) -> Vec<Check> {
    vec![
        trouble(facts),
        data_folder(deployment, facts),
        file_system(facts),
        free_space(facts),
        free_files(facts),
        durability(deployment),
        stores(facts),
        administrator(facts),
        secret_key(deployment),
        master_key(deployment),
        tls(deployment, facts),
        public_urls(deployment),
        previews(deployment),
        clock(facts),
        open_files(deployment, facts),
    ]
}

fn check(
    id: &'static str,
    title: &'static str,
    verdict: Verdict,
    found: impl Into<String>,
    advice: &'static str,
) -> Check {
    Check { id, title, verdict, found: found.into(), advice }
}

fn trouble(facts: &Facts) -> Check {
    let (id, title) = ("health", "Health");
    match facts.trouble.is_empty() {
        true => check(id, title, Verdict::Good, "Everything works.", ""),
        false => check(id, title, Verdict::Bad, facts.trouble.join(" "), "The log of the node tells more."),
    }
}

fn data_folder(deployment: &Deployment, facts: &Facts) -> Check {
    let (id, title) = ("data-folder", "Data folder");
    let root = deployment.storage_root.display();
    match &facts.written {
        Some(Ok(_)) => check(id, title, Verdict::Good, format!("{root} can be written."), ""),
        Some(Err(reason)) => {
            let advice = "Give the user that the node runs as the folder, and see that it is mounted for writing.";
            check(id, title, Verdict::Bad, format!("{root} cannot be written: {reason}."), advice)
        }
        None => check(id, title, Verdict::Note, "It could not be looked at.", ""),
    }
}

fn file_system(facts: &Facts) -> Check {
    let (id, title) = ("file-system", "File system");
    let Some(magic) = facts.file_system else {
        return check(id, title, Verdict::Note, "It does not tell what it is.", "");
    };
    match FILE_SYSTEMS.iter().find(|(known, ..)| *known == magic) {
        Some((_, name, verdict, advice)) => check(id, title, *verdict, *name, advice),
        None => {
            let advice = "It is not known how it behaves when power is lost. ext4, XFS, Btrfs and ZFS are good.";
            check(id, title, Verdict::Note, format!("Unknown (0x{magic:X})."), advice)
        }
    }
}

fn percent(part: u64, whole: u64) -> u64 {
    let share = u128::from(part) * 100 / u128::from(whole.max(1));
    u64::try_from(share).unwrap_or(100).min(100)
}

fn free_space(facts: &Facts) -> Check {
    let (id, title) = ("free-space", "Free space");
    let Some((free, size)) = facts.space else {
        return check(id, title, Verdict::Note, "It could not be looked at.", "");
    };
    let share = percent(free, size);
    let found = format!("{} GiB of {} GiB are free ({share} %).", free >> 30, size >> 30);
    match &facts.no_room {
        Some(reason) => {
            let advice = "New objects are refused. Delete objects, or make the device larger.";
            check(id, title, Verdict::Bad, format!("{found} {reason}."), advice)
        }
        None if share < FREE_PERCENT_MIN => check(
            id,
            title,
            Verdict::Warn,
            found,
            "The device is nearly full. Make it larger before new objects are refused.",
        ),
        None => check(id, title, Verdict::Good, found, ""),
    }
}

fn free_files(facts: &Facts) -> Check {
    let (id, title) = ("free-files", "Room for files");
    match facts.files {
        // File systems that make room as they go tell nothing.
        None | Some((_, 0)) => check(id, title, Verdict::Good, "The file system sets no limit.", ""),
        Some((free, all)) => {
            let share = percent(free, all);
            let found = format!("{free} of {all} are free ({share} %).");
            match share < FILES_PERCENT_MIN {
                true => {
                    check(id, title, Verdict::Warn, found, "Each object is a file. Use a file system with more inodes.")
                }
                false => check(id, title, Verdict::Good, found, ""),
            }
        }
    }
}

fn durability(deployment: &Deployment) -> Check {
    let (id, title) = ("durability", "Durability");
    match deployment.is_strict {
        true => check(id, title, Verdict::Good, "strict: what was acknowledged survives power loss.", ""),
        false => {
            let found = "relaxed: what was acknowledged last may be gone after power loss.";
            check(id, title, Verdict::Warn, found, "Set DURABILITY=strict, unless everything can be made again.")
        }
    }
}

fn stores(facts: &Facts) -> Check {
    let (id, title) = ("files", "Configuration files");
    match facts.broken.is_empty() {
        true => check(id, title, Verdict::Good, "All of them can be read.", ""),
        false => {
            let advice = "Mend the file: until then the last good state stays in force, and changes through the node are refused.";
            check(id, title, Verdict::Bad, facts.broken.join("; "), advice)
        }
    }
}

fn administrator(facts: &Facts) -> Check {
    let (id, title) = ("administrator", "Administrator's secret");
    match facts.well_known_secret {
        false => check(id, title, Verdict::Good, "It is not the well-known one.", ""),
        true => {
            let found = "The well-known secret of the first start is in force.";
            check(id, title, Verdict::Bad, found, "Rotate the secret of the administrator on the page Users.")
        }
    }
}

fn secret_key(deployment: &Deployment) -> Check {
    let (id, title) = ("secret-key", "SECRET_KEY");
    match deployment.has_secret_key {
        true => check(id, title, Verdict::Good, "It is set.", ""),
        false => {
            let found =
                "It is not set: the node made a random one, which lies under STORAGE_ROOT beside what it seals.";
            check(id, title, Verdict::Note, found, "Set SECRET_KEY to keep it apart from the data and its backups.")
        }
    }
}

fn master_key(deployment: &Deployment) -> Check {
    let (id, title) = ("master-key", "Master key of encryption");
    match deployment.master_key_beside_data {
        false => check(id, title, Verdict::Good, "It is not beside the data, or nothing is encrypted.", ""),
        true => {
            let found = "It lies beside the data that it encrypts.";
            let advice = "Keep a copy elsewhere: without it nothing can be read. To keep it apart from the data, set ENCRYPTION_MASTER_KEY or ENCRYPTION_MASTER_KEY_PATH.";
            check(id, title, Verdict::Note, found, advice)
        }
    }
}

fn is_https(url: &Option<String>) -> bool {
    url.as_deref().is_some_and(|url| url.starts_with("https://"))
}

fn tls(deployment: &Deployment, facts: &Facts) -> Check {
    let (id, title) = ("tls", "TLS");
    if let Some(term) = facts.certificate {
        return certificate(id, title, term, facts.now);
    }
    if deployment.has_tls {
        return check(id, title, Verdict::Good, "Both listeners speak TLS.", "");
    }
    if is_https(&deployment.api_base_url) && is_https(&deployment.ui_base_url) {
        return check(id, title, Verdict::Good, "A proxy speaks TLS for API and console.", "");
    }
    if deployment.host.is_loopback() {
        return check(id, title, Verdict::Good, "Only this machine reaches the node.", "");
    }
    let found = "Other machines reach the node without TLS: objects and passwords can be read on the way.";
    let advice = "Set TLS_CERT_PATH and TLS_KEY_PATH, or let a proxy speak TLS and set API_BASE_URL and UI_BASE_URL.";
    check(id, title, Verdict::Warn, found, advice)
}

fn certificate(id: &'static str, title: &'static str, term: Term, now: Stamp) -> Check {
    let until = term.until_text();
    let (verdict, found) = match term.standing(now) {
        Standing::Good => {
            return check(id, title, Verdict::Good, format!("The certificate is valid until {until}."), "");
        }
        Standing::NotYet => (Verdict::Bad, "The certificate is not valid yet: clients refuse it.".to_owned()),
        Standing::EndsWithinMonth => (Verdict::Note, format!("The certificate ends within 30 days, at {until}.")),
        Standing::EndsWithinWeek => (Verdict::Warn, format!("The certificate ends within 7 days, at {until}.")),
        Standing::Over => (Verdict::Bad, format!("The certificate has ended, at {until}: clients refuse it.")),
    };
    let advice = "Renew it, and put the new files in place of those of TLS_CERT_PATH and TLS_KEY_PATH; the node takes them in by itself.";
    check(id, title, verdict, found, advice)
}

fn public_urls(deployment: &Deployment) -> Check {
    let (id, title) = ("public-urls", "Public URLs and proxies");
    let Deployment { api_base_url, ui_base_url, .. } = deployment;
    match (api_base_url, ui_base_url) {
        (Some(api), Some(ui)) if is_https(api_base_url) != is_https(ui_base_url) => {
            let advice = "Give both the scheme by which browsers reach them.";
            check(id, title, Verdict::Warn, format!("{api} and {ui} have different schemes."), advice)
        }
        (Some(_), None) | (None, Some(_)) => {
            let found = "One of API_BASE_URL and UI_BASE_URL is set, the other is not.";
            check(id, title, Verdict::Note, found, "Behind a proxy, set both.")
        }
        (Some(api), Some(ui)) if !deployment.names_proxies => {
            let found = format!("API {api}, console {ui}. No proxy is believed about who the client is.");
            let advice = "If a proxy stands before the node, list it in TRUSTED_PROXIES, so that logs and policies see clients' addresses.";
            check(id, title, Verdict::Note, found, advice)
        }
        (Some(api), Some(ui)) => check(id, title, Verdict::Good, format!("API {api}, console {ui}."), ""),
        (None, None) => check(id, title, Verdict::Good, "Links are made for the host that was asked.", ""),
    }
}

fn host_of(url: &str) -> &str {
    let authority = url.split_once("://").map_or("", |(_, rest)| rest).split('/').next().unwrap_or_default();
    authority.rsplit_once(':').map_or(authority, |(host, _)| host)
}

fn previews(deployment: &Deployment) -> Check {
    let (id, title) = ("preview-origin", "Previews of PDF files");
    let Deployment { console_preview_origin: origin, ui_base_url, .. } = deployment;
    match (origin, ui_base_url) {
        (None, _) => check(id, title, Verdict::Good, "PDF files are downloaded, not shown.", ""),
        (Some(previews), Some(ui)) if is_https(origin) != is_https(ui_base_url) => {
            let advice =
                "Give CONSOLE_PREVIEW_ORIGIN the scheme of UI_BASE_URL: browsers show nothing else within a page.";
            check(id, title, Verdict::Warn, format!("{previews} and {ui} have different schemes."), advice)
        }
        (Some(previews), Some(ui)) if host_of(previews).eq_ignore_ascii_case(host_of(ui)) => {
            let advice = "Give previews a host name of their own: browsers send cookies to every port of a host.";
            check(id, title, Verdict::Note, format!("{previews} is another port of the console's host."), advice)
        }
        (Some(previews), None) if !deployment.host.is_loopback() => {
            let found = format!("They are at {previews}, and UI_BASE_URL is not set.");
            let advice = "Set UI_BASE_URL, so that a page may show them whatever a proxy does to the host.";
            check(id, title, Verdict::Note, found, advice)
        }
        (Some(previews), _) => check(id, title, Verdict::Good, format!("They are shown, at {previews}."), ""),
    }
}

fn clock(facts: &Facts) -> Check {
    let (id, title) = ("clock", "Clock");
    let now = Stamp(facts.now.seconds().saturating_mul(1_000_000_000)).rfc3339();
    if facts.now < EARLIEST {
        let advice = "Set the clock, and let it be kept by NTP: signatures are refused when it is wrong.";
        return check(id, title, Verdict::Bad, format!("It shows {now}."), advice);
    }
    let apart = match facts.written {
        Some(Ok(written)) => facts.now.seconds().abs_diff(written.seconds()),
        _ => 0,
    };
    match apart > CLOCKS_APART_MAX {
        true => {
            let found = format!("It shows {now}, and the file system's clock is {apart} seconds off.");
            check(id, title, Verdict::Warn, found, "Let both be kept by NTP.")
        }
        false => check(id, title, Verdict::Good, format!("It shows {now}."), ""),
    }
}

fn open_files(deployment: &Deployment, facts: &Facts) -> Check {
    let (id, title) = ("open-files", "Limit of open files");
    let limit = facts.open_files.map_or_else(|| "no limit".to_owned(), |files| files.to_string());
    match facts.connections < deployment.connections_max {
        true => {
            let found = format!(
                "{limit}: room for {} connections, not the {} of CONNECTIONS_MAX.",
                facts.connections, deployment.connections_max
            );
            check(
                id,
                title,
                Verdict::Warn,
                found,
                "Raise it (ulimit -Hn, LimitNOFILE= of systemd, or --ulimit nofile of the container).",
            )
        }
        false => check(id, title, Verdict::Good, limit, ""),
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use time::macros::datetime;

    use super::*;

    fn healthy() -> Facts {
        Facts {
            written: Some(Ok(Stamp(1_800_000_000_000_000_000))),
            file_system: Some(0xEF53),
            space: Some((50 << 30, 100 << 30)),
            files: Some((50, 100)),
            now: Stamp(1_800_000_001_000_000_000),
            open_files: Some(65_536),
            connections: 1,
            ..Facts::default()
        }
    }

    fn verdict(id: &str, deployment: &Deployment, facts: &Facts) -> Verdict {
        judge(deployment, facts).iter().find(|check| check.id == id).unwrap().verdict
    }

    #[test]
    fn all_is_well() {
        let checks = judge(&Deployment::default(), &healthy());
        assert!(checks.iter().all(|check| check.verdict == Verdict::Good && check.advice.is_empty()), "{checks:#?}");
    }

    #[test]
    fn whatever_is_wrong_has_advice() {
        let facts = Facts {
            written: Some(Err("read-only".to_owned())),
            file_system: Some(0x0102_1994),
            space: Some((1, 100 << 30)),
            files: Some((1, 100)),
            no_room: Some("full".to_owned()),
            now: Stamp(0),
            open_files: Some(100),
            connections: 1,
            certificate: None,
            well_known_secret: true,
            broken: vec!["iam.json, line 3".to_owned()],
            trouble: vec!["t".to_owned()],
        };
        let deployment = Deployment {
            is_strict: false,
            host: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            has_secret_key: false,
            master_key_beside_data: true,
            api_base_url: Some("https://s3".to_owned()),
            console_preview_origin: Some("https://previews".to_owned()),
            connections_max: 100,
            ..Deployment::default()
        };
        for check in judge(&deployment, &facts) {
            assert!(check.verdict != Verdict::Good && !check.advice.is_empty(), "{check:?}");
        }
    }

    #[test]
    fn tls_may_be_a_proxys() {
        let open = Deployment { host: IpAddr::V4(Ipv4Addr::UNSPECIFIED), ..Deployment::default() };
        let url = |scheme: &str| Some(format!("{scheme}://x"));
        for (api, ui, is_good) in [("https", "https", true), ("https", "http", false), ("http", "http", false)] {
            let behind = Deployment { api_base_url: url(api), ui_base_url: url(ui), ..open.clone() };
            assert_eq!(verdict("tls", &behind, &healthy()) == Verdict::Good, is_good, "{api} {ui}");
        }
        assert_eq!(verdict("tls", &Deployment { has_tls: true, ..open }, &healthy()), Verdict::Good);
    }

    #[test]
    fn a_certificate_ends() {
        let deployment = Deployment { has_tls: true, ..Deployment::default() };
        let term = Term::between(datetime!(2027-01-01 0:00), datetime!(2027-04-01 0:00));
        for (now, expected) in [
            (datetime!(2026-12-31 0:00), Verdict::Bad),
            (datetime!(2027-02-01 0:00), Verdict::Good),
            (datetime!(2027-03-15 0:00), Verdict::Note),
            (datetime!(2027-03-28 0:00), Verdict::Warn),
            (datetime!(2027-04-02 0:00), Verdict::Bad),
        ] {
            let now = Stamp(u64::try_from(now.assume_utc().unix_timestamp()).unwrap() * 1_000_000_000);
            let facts = Facts { certificate: Some(term), now, ..healthy() };
            let checks = judge(&deployment, &facts);
            let found = checks.iter().find(|check| check.id == "tls").unwrap();
            assert_eq!((found.verdict, found.advice.is_empty()), (expected, expected == Verdict::Good), "{found:?}");
        }
    }

    #[test]
    fn previews_have_a_host_of_their_own() {
        for (previews, ui, expected) in [
            (None, Some("https://ui"), Verdict::Good),
            (Some("https://previews"), Some("https://ui/x"), Verdict::Good),
            (Some("http://previews"), Some("https://ui"), Verdict::Warn),
            (Some("https://UI:444"), Some("https://ui:443"), Verdict::Note),
            (Some("http://localhost:5100"), None, Verdict::Good),
        ] {
            let url = |url: Option<&str>| url.map(str::to_owned);
            let (console_preview_origin, ui_base_url) = (url(previews), url(ui));
            let deployment = Deployment { console_preview_origin, ui_base_url, ..Deployment::default() };
            assert_eq!(verdict("preview-origin", &deployment, &healthy()), expected, "{previews:?} {ui:?}");
        }
    }

    #[test]
    fn clocks_and_devices() {
        let of = |change: fn(&mut Facts)| {
            let mut facts = healthy();
            change(&mut facts);
            facts
        };
        let deployment = Deployment::default();
        let apart = of(|facts| facts.now = Stamp(1_800_000_010_000_000_000));
        assert_eq!(verdict("clock", &deployment, &apart), Verdict::Warn);
        assert_eq!(verdict("free-space", &deployment, &of(|facts| facts.space = Some((9, 100)))), Verdict::Warn);
        assert_eq!(verdict("free-files", &deployment, &of(|facts| facts.files = Some((0, 0)))), Verdict::Good);
        assert_eq!(verdict("file-system", &deployment, &of(|facts| facts.file_system = Some(1))), Verdict::Note);
        assert_eq!(verdict("file-system", &deployment, &of(|facts| facts.file_system = None)), Verdict::Note);
    }
}
