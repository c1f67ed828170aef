//! The commands of screens that show something else than objects: what they show, as programs ask for it. Pure.

use percent_encoding::percent_decode_str;

use super::commands::{self, Command, curl, literal, quoted};

/// A screen, and how what it shows is asked for. `{}` stands for the last parameter of its path, and for the bucket of its pages.
struct Screen {
    /// Its path below `/ui/`, as rows of the table of routes have it, with `{}` for each parameter.
    path: &'static str,
    /// What the aws cli takes, where AWS has something like it.
    aws: &'static str,
    /// The client of boto3, and its call.
    boto3: (&'static str, &'static str),
    /// What mc and rclone take.
    others: [&'static str; 2],
    /// Path and query of the request.
    target: &'static str,
}

const fn screen(
    path: &'static str,
    aws: &'static str,
    boto3: (&'static str, &'static str),
    others: [&'static str; 2],
    target: &'static str,
) -> Screen {
    Screen { path, aws, boto3, others, target }
}

/// Where a program has nothing like it.
const NONE: [&str; 2] = ["", ""];
const NO_CALL: (&str, &str) = ("", "");

const SCREENS: &[Screen] = &[
    screen("buckets", "s3api list-buckets", ("s3", "list_buckets()"), ["ls myfsio", "lsd {remote}"], "/"),
    screen(
        "buckets/{}/properties",
        "s3api get-bucket-versioning --bucket {}",
        ("s3", "get_bucket_versioning(Bucket={})"),
        ["version info myfsio/{}", "backend versioning {remote}"],
        "/{}?versioning",
    ),
    screen(
        "buckets/{}/policy",
        "s3api get-bucket-policy --bucket {}",
        ("s3", "get_bucket_policy(Bucket={})"),
        ["anonymous get-json myfsio/{}", ""],
        "/{}?policy",
    ),
    screen(
        "buckets/{}/access",
        "s3api get-public-access-block --bucket {}",
        ("s3", "get_public_access_block(Bucket={})"),
        NONE,
        "/{}?publicAccessBlock",
    ),
    screen(
        "buckets/{}/lifecycle",
        "s3api get-bucket-lifecycle-configuration --bucket {}",
        ("s3", "get_bucket_lifecycle_configuration(Bucket={})"),
        ["ilm rule ls myfsio/{}", ""],
        "/{}?lifecycle",
    ),
    screen(
        "buckets/{}/cors",
        "s3api get-bucket-cors --bucket {}",
        ("s3", "get_bucket_cors(Bucket={})"),
        ["cors get myfsio/{}", ""],
        "/{}?cors",
    ),
    screen(
        "buckets/{}/notifications",
        "s3api get-bucket-notification-configuration --bucket {}",
        ("s3", "get_bucket_notification_configuration(Bucket={})"),
        ["event ls myfsio/{}", ""],
        "/{}?notification",
    ),
    screen(
        "buckets/{}/replication",
        "s3api get-bucket-replication --bucket {}",
        ("s3", "get_bucket_replication(Bucket={})"),
        NONE,
        "/_myfsio/replication/rules/{}",
    ),
    screen(
        "buckets/{}/uploads",
        "s3api list-multipart-uploads --bucket {}",
        ("s3", "list_multipart_uploads(Bucket={})"),
        ["ls --incomplete --recursive myfsio/{}", "backend list-multipart-uploads {remote}"],
        "/{}?uploads",
    ),
    screen(
        "buckets/{}/space",
        "s3 ls --recursive --summarize --human-readable s3://{}/",
        NO_CALL,
        ["du --depth 2 myfsio/{}", "size {remote}"],
        "/{}?list-type=2",
    ),
    screen(
        "buckets/{}/encrypted",
        "s3api get-bucket-encryption --bucket {}",
        ("s3", "get_bucket_encryption(Bucket={})"),
        ["encrypt info myfsio/{}", ""],
        "/{}?encryption",
    ),
    screen("buckets/{}/work", "s3 rm --recursive --dryrun s3://{}/", NO_CALL, NONE, "/_myfsio/jobs"),
    screen("buckets/{}/delete", "s3 rb s3://{}", ("s3", "delete_bucket(Bucket={})"), NONE, ""),
    screen("jobs", "", NO_CALL, NONE, "/_myfsio/jobs"),
    screen("jobs/{}", "", NO_CALL, NONE, "/_myfsio/jobs/{}"),
    screen("iam", "iam list-users", ("iam", "list_users()"), NONE, "/_myfsio/iam/users"),
    screen(
        "transfer",
        "iam get-account-authorization-details",
        ("iam", "get_account_authorization_details()"),
        NONE,
        "/_myfsio/iam/export",
    ),
    screen("iam/{}", "", NO_CALL, NONE, "/_myfsio/iam/users/{}"),
    screen("iam/{}/permissions", "", NO_CALL, NONE, "/_myfsio/users/{}/permissions"),
    screen("groups", "iam list-groups", ("iam", "list_groups()"), NONE, "/_myfsio/iam/groups"),
    screen(
        "groups/{}",
        "iam get-group --group-name {}",
        ("iam", "get_group(GroupName={})"),
        NONE,
        "/_myfsio/iam/groups/{}",
    ),
    screen(
        "policies",
        "iam list-policies --scope Local",
        ("iam", "list_policies(Scope=\"Local\")"),
        NONE,
        "/_myfsio/iam/policies",
    ),
    screen("kms", "kms list-keys", ("kms", "list_keys()"), NONE, "/kms/keys"),
    screen("kms/{}", "kms describe-key --key-id {}", ("kms", "describe_key(KeyId={})"), NONE, "/kms/keys/{}"),
    screen("connections", "", NO_CALL, NONE, "/_myfsio/replication/connections"),
    screen("connections/{}", "", NO_CALL, NONE, "/_myfsio/replication/connections/{}"),
    screen("metrics", "", NO_CALL, NONE, "/_myfsio/metrics"),
    screen("requests", "", NO_CALL, NONE, "/_myfsio/requests"),
    screen("trace", "", NO_CALL, NONE, "/_myfsio/trace"),
    screen("audit", "", NO_CALL, NONE, "/_myfsio/audit?limit=100"),
    screen("backups", "", NO_CALL, NONE, "/_myfsio/backups"),
    screen("integrity", "", NO_CALL, NONE, "/_myfsio/scrub"),
    screen("settings", "", NO_CALL, NONE, "/_myfsio/settings"),
    screen("self-check", "", NO_CALL, NONE, "/_myfsio/self-check"),
];

/// The commands of the screen of this path; none where it has none, or shows its own.
pub fn commands_of(endpoint: &str, region: &str, path: &str) -> Vec<Command> {
    let Some((screen, raw)) = find(path) else { return Vec::new() };
    let name = percent_decode_str(raw).decode_utf8_lossy();
    let remote = quoted(&format!(":s3,provider=Other,env_auth,endpoint='{endpoint}':{name}"));
    let filled = |text: &str| text.replace("{remote}", &remote).replace("{}", &quoted(&name));
    let (client, call) = screen.boto3;
    let mut texts = Vec::new();
    if !screen.aws.is_empty() {
        texts.push(("aws", format!("aws --endpoint-url {} {}", quoted(endpoint), filled(screen.aws))));
    }
    for (program, text) in ["mc", "rclone"].into_iter().zip(screen.others).filter(|(_, text)| !text.is_empty()) {
        texts.push((program, format!("{program} {}", filled(text))));
    }
    if !call.is_empty() {
        let made = format!("boto3.client({}, endpoint_url={}, ", literal(client), literal(endpoint));
        let call = call.replace("{}", &literal(&name));
        let text = format!("import boto3\nprint({made}region_name={}).{call})", literal(region));
        texts.push(("boto3", text));
    }
    if !screen.target.is_empty() {
        let url = format!("{endpoint}{}", screen.target.replace("{}", raw));
        texts.push(("curl", curl(region, if path == "/ui/trace" { "--no-buffer " } else { "" }, &url)));
    }
    commands::commands(texts)
}

/// The screen of a path, and the last of its parameters as it stands there.
fn find(path: &str) -> Option<(&'static Screen, &str)> {
    let path = path.strip_prefix("/ui/")?;
    SCREENS.iter().find_map(|screen| Some((screen, fits(screen.path, path)?)))
}

/// What stands in a path in the place of the last parameter of a pattern, which has `{}` for each; empty where it has none. None: the path
/// is another one.
pub fn fits<'a>(pattern: &str, path: &'a str) -> Option<&'a str> {
    let mut parts = path.split('/');
    let mut parameter = "";
    for wanted in pattern.split('/') {
        match (wanted, parts.next()?) {
            ("{}", found) if !found.is_empty() => parameter = found,
            (wanted, found) if wanted == found => {}
            _ => return None,
        }
    }
    parts.next().is_none().then_some(parameter)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::route::rows;

    #[test]
    fn screens_are_routes_and_their_names_stay_one_word() {
        for screen in SCREENS {
            let is_screen =
                |path: &'static str| path.split('/').map(|part| if part.starts_with('{') { "{}" } else { part });
            let known = rows().any(|row| is_screen(row.path).eq(["", "ui"].into_iter().chain(screen.path.split('/'))));
            assert!(known, "{}", screen.path);
        }
        let texts = |path| commands_of("http://n:5000", "eu", path).into_iter().map(|command| command.text);
        let group: Vec<_> = texts("/ui/groups/a%20%24(x)%22").collect();
        assert_eq!(group[0], "aws --endpoint-url http://n:5000 iam get-group --group-name 'a $(x)\"'");
        assert!(group[1].ends_with(r#".get_group(GroupName="a $(x)\""))"#), "{}", group[1]);
        assert!(group[2].ends_with("http://n:5000/_myfsio/iam/groups/a%20%24(x)%22'"), "{}", group[2]);
        assert_eq!(texts("/ui/buckets/b/policy").count(), 4);
        for path in ["/ui", "/ui/buckets//policy", "/ui/buckets/b/browse", "/ui/none", "/ui/buckets/b/policy/x"] {
            assert_eq!(texts(path).count(), 0, "{path}");
        }
    }
}
