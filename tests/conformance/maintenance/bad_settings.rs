//! Every setting, mistyped: by variable, by flag and in the file, the program ends with status 1 and one line that names it. The table of
//! settings itself is walked, so that a new setting without a bad value fails here.

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use myfsio::config::{Kind, SETTINGS, Setting};

/// What the settings that are neither numbers nor booleans cannot be, and a word of why.
const BAD: &[(&str, &str, &str)] = &[
    ("STORAGE_ROOT", "/dev/null", "is no folder"),
    ("HOST", "nowhere.example", "is no IPv4 or IPv6 address"),
    ("API_BASE_URL", "ftp://files.example", "must start with http:// or https://"),
    ("API_BASE_URL", "https://s3.example/path", "no path"),
    ("UI_BASE_URL", "nothing", "must start with http:// or https://"),
    ("CONSOLE_PREVIEW_ORIGIN", "https://previews.example/path", "no path"),
    ("CONSOLE_PREVIEW_ORIGIN", "http://[::1]:5100", "must name a host or an IPv4 address"),
    ("TRUSTED_PROXIES", "10.0.0.0/33", "is no address and no CIDR range"),
    ("BASE_DOMAINS", "under_score.example", "is no domain name"),
    ("WEBSITE_DOMAINS", "-x.example", "is no domain name"),
    ("TLS_CERT_PATH", "/nowhere/cert.pem", "needs TLS_KEY_PATH"),
    ("TLS_KEY_PATH", "/nowhere/key.pem", "needs TLS_CERT_PATH"),
    ("TLS_MIN_VERSION", "1.1", "is neither 1.2 nor 1.3"),
    ("DURABILITY", "sometimes", "is neither strict nor relaxed"),
    ("WEBHOOKS_PATH", "/dev/null/webhooks.json", "Not a directory"),
    ("CONNECTIONS_PATH", "/dev/null/connections.json", "Not a directory"),
    ("REPLICATION_RULES_PATH", "/dev/null/rules.json", "Not a directory"),
    ("AWS_REGION", "us east", "letters, digits and dashes"),
    ("AWS_SERVICE", "s3/x", "letters, digits and dashes"),
    ("IAM_CONFIG", "/dev/null/iam.json", "Not a directory"),
    ("BUCKET_POLICY_PATH", "/dev", "is no file"),
    ("ADMIN_ACCESS_KEY", "a/b", "is not made of"),
    ("ADMIN_SECRET_KEY", "short", "at least 8"),
    ("SECRET_KEY", "bell\u{7}", "control character"),
    ("SECRET_KEY_PREVIOUS", "bell\u{7}", "control character"),
    ("METRICS_TOKEN", "guessable", "at least 16"),
    ("KMS_KEYS_PATH", "/dev/null/keys.json", "Not a directory"),
    ("ENCRYPTION_MASTER_KEY_PATH", "/dev/null/master.key", "Not a directory"),
    ("ENCRYPTION_MASTER_KEY", "c2hvcnQ=", "32 bytes"),
    ("ENCRYPTION_MASTER_KEY_PREVIOUS", "c2hvcnQ=", "32 bytes"),
    ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4317", "must start with http:// or https://"),
    ("OTEL_EXPORTER_OTLP_HEADERS", "a b=c", "is no name=value"),
    ("OTEL_SERVICE_NAME", "bell\u{7}", "without control characters"),
    ("OTEL_TRACES_SAMPLER_ARG", "1.5", "is no number of 0 to 1"),
    ("LOG_LEVEL", "loud", "is no level"),
    ("LOG_FORMAT", "xml", "is neither text nor json"),
    ("LOG_DIR", "/dev/null", "is no folder"),
];
/// How long a program that should have ended is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

fn bad_values(setting: &Setting) -> Vec<(&'static str, &'static str)> {
    match setting.kind {
        Kind::Integer => {
            ["many", "-1", "+5", "1.5", "18446744073709551615"].map(|text| (text, "is not a whole number of")).to_vec()
        }
        Kind::Boolean => vec![("maybe", "is neither true nor false")],
        _ => BAD.iter().filter(|row| row.0 == setting.variable).map(|row| (row.1, row.2)).collect(),
    }
}

/// A run that should end by itself, in a folder of its own.
fn run(folder: &Path, command: &mut Command) -> Output {
    command.current_dir(folder).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let end = Instant::now() + PATIENCE;
    while child.try_wait().unwrap().is_none() {
        if Instant::now() > end {
            child.kill().unwrap();
            panic!("it runs: {command:?}");
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    child.wait_with_output().unwrap()
}

/// One line that names the setting, and does not tell a secret.
fn check(setting: &Setting, spelled: &str, value: &str, reason: &str, output: &Output) {
    let told = String::from_utf8_lossy(&output.stderr);
    let what = format!("{}={value:?}: {told}", setting.variable);
    assert_eq!(output.status.code(), Some(1), "{what}");
    assert!(told.starts_with(&format!("myfsio: {spelled}: ")), "{what}");
    assert!(told.contains(reason), "{what}");
    assert_eq!((told.matches('\n').count(), output.stdout.len()), (1, 0), "{what}");
    assert!(!setting.kind.is_secret() || !told.contains(value), "{what}");
}

#[test]
fn every_mistake_is_one_line_that_names_its_setting() {
    let folder = tempfile::tempdir().unwrap();
    let program = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_myfsio"));
        command.env_clear();
        command
    };
    for setting in SETTINGS {
        let values = bad_values(setting);
        assert!(!values.is_empty(), "{} has no bad value: add a row to BAD", setting.variable);
        for (value, reason) in &values {
            let output = run(folder.path(), program().arg("serve").env(setting.variable, value));
            check(setting, setting.variable, value, reason, &output);
        }
        let Some((value, reason)) = values.first() else { continue };
        if let Some(flag) = setting.flag() {
            let output = run(folder.path(), program().args(["config", "check", &format!("--{flag}={value}")]));
            check(setting, &format!("--{flag}"), value, reason, &output);
        }
        let file = folder.path().join("bad.toml");
        let text = serde_json::to_string(value).unwrap();
        let text = if setting.kind.is_list() { format!("[{text}]") } else { text };
        std::fs::write(&file, format!("\n{} = {text}\n", setting.key)).unwrap();
        let output = run(folder.path(), program().args(["config", "check", "--config", "bad.toml"]));
        // A text in place of a number or boolean is told before its value is looked at.
        let reason = if matches!(setting.kind, Kind::Integer | Kind::Boolean) { "must be" } else { reason };
        check(setting, &format!("{} (bad.toml line 2)", setting.key), value, reason, &output);
    }
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["bad.toml"], "nothing is made before the settings are good");
}

#[test]
fn the_table_of_mistakes_names_settings() {
    for (variable, ..) in BAD {
        let is_known = SETTINGS.iter().any(|setting| setting.variable == *variable);
        assert!(is_known, "{variable} is no setting");
    }
}
