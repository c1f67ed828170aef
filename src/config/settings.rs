//! The table of settings, and `Config`, the struct of typed values that it yields.
//!
//! A setting is added by one row here. Its variable, flag, key in the file, default, help text, line of `config show`,
//! entry of `config/default.toml` and of `docs/configuration.md`, and field of `Config` all come from that row (a test
//! compares the two documents with the table).
//!
//! Ranges stand in the parsers' type parameters: smallest and largest value, both allowed.

use std::net::IpAddr;
use std::path::PathBuf;

use super::parse;
use super::resolve::Values;
use super::setting::{ConfigError, DefaultValue, Kind, Setting, ToldSetting};
use super::types::{Durability, LogFormat, Secret, Share, TrustedProxies};
use crate::tls::{Paths, TlsVersion};

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;
const GIB: u64 = 1024 * MIB;
const TIB: u64 = 1024 * GIB;

macro_rules! settings {
    ($($group:literal { $(
        $variable:literal $field:ident : $type:ty = $kind:ident $default:expr, $parse:expr, $help:literal;
    )+ })+) => {
        /// The table of settings, in the order in which help and documents show them.
        pub static SETTINGS: &[Setting] = &[$($(
            Setting {
                group: $group,
                variable: $variable,
                key: stringify!($field),
                kind: Kind::$kind,
                default: $default,
                help: $help,
            },
        )+)+];

        /// Everything that an operator can set, parsed and in range. Fields are named after the variables.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct Config {
            $($( #[doc = $help] pub $field: $type, )+)+
            /// All of them as they are told to people: as text, with where they came from, secrets masked.
            pub told: Vec<ToldSetting>,
        }

        impl Config {
            /// Turns every value into its type; the first that does not fit is the error.
            pub(super) fn from_values(values: &Values) -> Result<Self, ConfigError> {
                Ok(Self {
                    $($( $field: values.parse(stringify!($field), $parse)?, )+)+
                    told: values.iter().map(ToldSetting::of).collect(),
                })
            }
        }
    };
}

use DefaultValue::{Cores, Text, UnderStorageRoot, Unset};

settings! {
    "Data and listeners" {
        "STORAGE_ROOT" storage_root: PathBuf = Path Text("./data"), parse::path,
            "Home of all buckets: the object `key` of `bucket` is the file `STORAGE_ROOT/bucket/key`.";
        "HOST" host: IpAddr = Text Text("127.0.0.1"), parse::host,
            "Address that both listeners bind: an IPv4 or IPv6 address, or `localhost`.";
        "PORT" port: u16 = Integer Text("5000"), parse::number::<u16, 0, 65_535>,
            "Port of the S3 API; 0 takes a free one.";
        "UI_PORT" ui_port: u16 = Integer Text("5100"), parse::number::<u16, 0, 65_535>,
            "Port of the console; 0 takes a free one.";
        "API_BASE_URL" api_base_url: Option<String> = Text Unset, parse::base_url,
            "Public http or https URL of the API, for presigned URLs. Unset: forwarded headers of trusted proxies, else the host of the request.";
        "UI_BASE_URL" ui_base_url: Option<String> = Text Unset, parse::url_with_path,
            "Public http or https URL of the console, without `/ui`; its path stands before `/ui` on the way through a proxy. Unset: the host of the request.";
        "CONSOLE_PREVIEW_ORIGIN" console_preview_origin: Option<String> = Text Unset, parse::preview_origin,
            "Another http or https origin by which browsers reach the console's port, for previews of PDF files alone: `https://previews.example.com`. Unset: PDF files are only downloaded.";
        "TRUSTED_PROXIES" trusted_proxies: TrustedProxies = List Unset, parse::trusted_proxies,
            "Addresses or CIDR ranges of proxies whose forwarded headers are believed; `none` for no proxy at all. Unset: loopback and private ranges, and those only for the host and scheme of generated URLs.";
        "BASE_DOMAINS" base_domains: Vec<String> = List Unset, parse::domains,
            "Domains under which buckets are served as `bucket.domain` (virtual-hosted style).";
        "WEBSITE_DOMAINS" website_domains: Vec<String> = List Unset, parse::domains,
            "Domains under which the websites of buckets are served as `bucket.domain`, on both ports.";
        "WEBSITE_PORT" website_port: Option<u16> = Integer Unset, parse::optional_port,
            "Port that serves nothing but websites; 0 takes a free one. Unset: none.";
        "TLS_CERT_PATH" tls_cert_path: Option<PathBuf> = Path Unset, parse::optional_path,
            "PEM file with the certificate chain of all listeners, the node's own certificate first; needs TLS_KEY_PATH. They speak HTTPS then, and nothing else. Changed files are taken in within seconds.";
        "TLS_KEY_PATH" tls_key_path: Option<PathBuf> = Path Unset, parse::optional_path,
            "PEM file with the private key, without a passphrase; needs TLS_CERT_PATH.";
        "TLS_MIN_VERSION" tls_min_version: TlsVersion = Text Text("1.2"), parse::tls_version,
            "Oldest version of TLS that clients may speak: `1.2` or `1.3`.";
    }
    "Requests" {
        "MAX_UPLOAD_SIZE" max_upload_size: u64 = Integer Text("1073741824"), parse::number::<u64, 1, { 5 * TIB }>,
            "Largest body of one request, in bytes. A multipart object may be larger, up to 5 TiB.";
        "MULTIPART_MIN_PART_SIZE" multipart_min_part_size: u64 = Integer Text("5242880"), parse::number::<u64, 1, { 5 * GIB }>,
            "Smallest part of a multipart upload but the last, in bytes, checked when it is completed.";
        "REQUESTS_MAX" requests_max: usize = Integer Text("1024"), parse::number::<usize, 1, 1_000_000>,
            "Requests under way at once; more are answered 503 SlowDown.";
        "CONNECTIONS_MAX" connections_max: usize = Integer Text("16384"), parse::number::<usize, 1, 1_000_000>,
            "Connections open at once, idle ones included; more wait until one ends. Fewer when the limit of open files is too low, which the start warns of.";
        "CONNECTIONS_PER_ADDRESS_MAX" connections_per_address_max: usize = Integer Text("12288"), parse::number::<usize, 0, 1_000_000>,
            "Connections open at once from one client address, of IPv6 from one /64; more are refused with 503 SlowDown, over TLS by closing them. Proxies that TRUSTED_PROXIES lists have no limit, any other proxy counts as one client. 0: no limit.";
        "REQUEST_TIMEOUT_SECONDS" request_timeout_seconds: u64 = Integer Text("60"), parse::number::<u64, 1, 3_600>,
            "A client that sends nothing for this long while a body is due is refused with RequestTimeout; one that takes nothing of its answer for this long is cut off. The head of a request may take as long, but at most 30 seconds.";
        "SHUTDOWN_TIMEOUT_SECONDS" shutdown_timeout_seconds: u64 = Integer Text("30"), parse::number::<u64, 0, 3_600>,
            "How long a stopping node waits for requests under way.";
        "HTTP_WORKERS" http_workers: usize = Integer Cores, parse::number::<usize, 1, 1_024>,
            "Threads that serve HTTP.";
        "UI_PAGE_SIZE" ui_page_size: usize = Integer Text("100"), parse::number::<usize, 1, 1_000>,
            "Rows on one page of a console listing.";
    }
    "Storage" {
        "DURABILITY" durability: Durability = Text Text("strict"), parse::durability,
            "`strict`: an acknowledged write survives power loss; `relaxed`: it survives a crash of the process only.";
        "JOURNAL_SEGMENT_BYTES" journal_segment_bytes: u64 = Integer Text("33554432"), parse::number::<u64, { 4 * MIB }, GIB>,
            "Size of each of the journal's segments, in bytes.";
        "INLINE_BODY_BYTES" inline_body_bytes: u64 = Integer Text("131072"), parse::number::<u64, 0, MIB>,
            "Bodies up to this many bytes are committed within the journal, larger ones through their own file.";
        "INDEX_CACHE_BYTES" index_cache_bytes: usize = Integer Text("33554432"), parse::number::<usize, MIB, { 64 * GIB }>,
            "Memory for the cache of the index, in bytes.";
        "BALLAST_BYTES" ballast_bytes: u64 = Integer Text("67108864"), parse::number::<u64, 0, { 64 * GIB }>,
            "Space kept in reserve, in bytes, so that objects can be deleted and what was acknowledged be put in place when the device is full; at most a sixteenth of the device. New objects are refused with InsufficientStorage while it is not whole.";
        "LIFECYCLE_DAY_SECONDS" lifecycle_day_seconds: u64 = Integer Text("86400"), parse::number::<u64, 1, 86_400>,
            "Length of the day that lifecycle rules count in, in seconds; shorter ones are for tests.";
    }
    "Scrub" {
        "SCRUB_BYTES_PER_SECOND" scrub_bytes_per_second: u64 = Integer Text("8388608"), parse::number::<u64, 0, { 64 * GIB }>,
            "Pace at which stored bytes are verified in the background, in bytes per second; while requests are under way it is less. 0: as fast as they leave room.";
        "SCRUB_INTERVAL_DAYS" scrub_interval_days: u32 = Integer Text("30"), parse::number::<u32, 0, 3_650>,
            "Days from the beginning of one verification of everything to that of the next; the first begins ten minutes after the first start. 0: only when it is asked for (`myfsio scrub start`).";
    }
    "Access logs of buckets" {
        "ACCESS_LOG_SECONDS" access_log_seconds: u64 = Integer Text("300"), parse::number::<u64, 1, 86_400>,
            "Longest time between two deliveries of log objects, in seconds.";
        "ACCESS_LOG_BYTES" access_log_bytes: usize = Integer Text("1048576"), parse::number::<usize, KIB, { 16 * MIB }>,
            "A bucket's log lines are delivered as soon as they are this many bytes.";
    }
    "Event notifications" {
        "WEBHOOKS_PATH" webhooks_path: PathBuf = Path UnderStorageRoot(".myfsio.sys/config/webhooks.json"), parse::path,
            "File of the webhooks that buckets may tell of events.";
        "NOTIFY_ALLOW_PRIVATE" notify_allow_private: bool = Boolean Text("false"), parse::boolean,
            "Whether webhooks may be at loopback, private and link-local addresses.";
        "NOTIFY_KEEP_SECONDS" notify_keep_seconds: u64 = Integer Text("604800"), parse::number::<u64, 1, { 366 * 86_400 }>,
            "How long an event is tried to be told, in seconds; then it is given up, and kept to be replayed.";
    }
    "Replication" {
        "CONNECTIONS_PATH" connections_path: PathBuf = Path UnderStorageRoot(".myfsio.sys/config/connections.json"), parse::path,
            "File of the connections to other nodes and S3 services.";
        "REPLICATION_RULES_PATH" replication_rules_path: PathBuf = Path UnderStorageRoot(".myfsio.sys/config/replication_rules.json"), parse::path,
            "File that tells which buckets are replicated, and where to.";
        "ALLOW_PRIVATE_ENDPOINTS" allow_private_endpoints: bool = Boolean Text("true"), parse::boolean,
            "Whether connections may lead to loopback and private addresses. Link-local addresses, and others where clouds tell machines their secrets, are never spoken to.";
        "REPLICATION_BACKLOG_MAX" replication_backlog_max: u64 = Integer Text("2000000"), parse::number::<u64, 1, 1_000_000_000>,
            "Most changes of one bucket that wait to be sent. Beyond it no more are queued, and the bucket is compared as a whole with its target once that is back.";
        "REPLICATION_TOMBSTONES_MAX" replication_tombstones_max: u64 = Integer Text("1000000"), parse::number::<u64, 1, 1_000_000_000>,
            "Most deletes of one bucket that are remembered, so that what was deleted does not come back from a peer; the oldest go first.";
        "REPLICATION_TOMBSTONE_DAYS" replication_tombstone_days: u32 = Integer Text("30"), parse::number::<u32, 1, 3_650>,
            "How long such deletes are remembered, in days: longer than a peer may be away.";
        "REPLICATION_CONFLICT_DAYS" replication_conflict_days: u32 = Integer Text("30"), parse::number::<u32, 1, 3_650>,
            "How long what lost against a change of another node is kept, in days.";
    }
    "Users and signatures" {
        "AWS_REGION" aws_region: String = Text Text("us-east-1"), parse::scope_word,
            "Region in the credential scope of signatures.";
        "AWS_SERVICE" aws_service: String = Text Text("s3"), parse::scope_word,
            "Service in the credential scope of signatures.";
        "IAM_CONFIG" iam_config: PathBuf = Path UnderStorageRoot(".myfsio.sys/config/iam.json"), parse::path,
            "File of users, access keys and their policies.";
        "BUCKET_POLICY_PATH" bucket_policy_path: PathBuf = Path UnderStorageRoot(".myfsio.sys/config/bucket_policies.json"), parse::path,
            "File of bucket policies.";
        "ADMIN_ACCESS_KEY" admin_access_key: Option<String> = Text Unset, parse::access_key,
            "Access key id of the administrator that the first start creates.";
        "ADMIN_SECRET_KEY" admin_secret_key: Option<Secret> = Secret Unset, parse::secret::<8>,
            "Secret access key of the administrator that the first start creates; at least 8 characters.";
        "SECRET_KEY" secret_key: Option<Secret> = Secret Unset, parse::secret_key,
            "Signs console sessions and seals stored secrets. Unset or `dev-secret-key`: a random one is created once under STORAGE_ROOT.";
        "SECRET_KEY_PREVIOUS" secret_key_previous: Vec<Secret> = SecretList Unset, parse::secrets,
            "Former values of SECRET_KEY: what they sealed is opened and sealed anew.";
        "KEY_REQUESTS_PER_SECOND" key_requests_per_second: u32 = Integer Text("0"), parse::number::<u32, 0, 1_000_000>,
            "Requests that one access key may make in a second; more are answered 503 SlowDown. Temporary keys count together for their user or role. 0: no limit.";
        "KEY_REQUESTS_BURST" key_requests_burst: u32 = Integer Text("0"), parse::number::<u32, 0, 1_000_000>,
            "Requests that one access key may make at once before KEY_REQUESTS_PER_SECOND holds. 0: as many as in a second.";
        "LOGIN_FAILURES_MAX" login_failures_max: u32 = Integer Text("100"), parse::number::<u32, 0, 1_000_000>,
            "Wrong secrets and unknown access keys that one address may send as they are in fifteen minutes, over all keys. Beyond it only keys are taken that were used rightly from there within a day. 0: no limit.";
        "REQUESTS_KEPT" requests_kept: usize = Integer Text("5000"), parse::number::<usize, 0, 1_000_000>,
            "How many of the last requests are kept in memory, to be searched by id, bucket, user or status; about half a KiB each. 0 keeps none.";
        "METRICS_TOKEN" metrics_token: Option<Secret> = Secret Unset, parse::secret::<16>,
            "Bearer token that may read the metrics, since scrapers cannot sign; at least 16 characters.";
        "AUDIT_BYTES" audit_bytes: u64 = Integer Text("268435456"), parse::number::<u64, { 4 * MIB }, TIB>,
            "Most bytes of the audit log, which tells who changed what; its oldest file goes first.";
    }
    "Decisions" {
        "EXPLAIN_BYTES" explain_bytes: usize = Integer Text("16777216"), parse::number::<usize, 0, GIB>,
            "Memory for refusals of the last 24 hours, which `GET /_myfsio/explain` explains, in bytes; 0 keeps none. When it is full, the client address with most of them loses its oldest.";
    }
    "Encryption" {
        "ENCRYPTION_ENABLED" encryption_enabled: bool = Boolean Text("false"), parse::boolean,
            "Server-side encryption.";
        "KMS_ENABLED" kms_enabled: bool = Boolean Text("false"), parse::boolean,
            "Key management and its routes.";
        "KMS_KEYS_PATH" kms_keys_path: PathBuf = Path UnderStorageRoot(".myfsio.sys/keys/kms_keys.json"), parse::path,
            "File of the keys. `STORAGE_ROOT/kms_keys.json` is used when it exists and the default does not.";
        "ENCRYPTION_MASTER_KEY_PATH" encryption_master_key_path: PathBuf = Path UnderStorageRoot(".myfsio.sys/keys/master.key"), parse::path,
            "File of the master key, 32 bytes in base64, which is made when it is needed first. `STORAGE_ROOT/master.key` is used when it exists and the default does not.";
        "ENCRYPTION_MASTER_KEY" encryption_master_key: Option<Secret> = Secret Unset, parse::master_key,
            "The master key itself, 32 bytes in base64, in place of the file.";
        "ENCRYPTION_MASTER_KEY_PREVIOUS" encryption_master_key_previous: Vec<Secret> = SecretList Unset, parse::master_keys,
            "Former master keys: what they sealed is opened, and keys are sealed anew.";
        "SSE_C_OVER_HTTP" sse_c_over_http: bool = Boolean Text("false"), parse::boolean,
            "Whether keys of customers (SSE-C) are taken over plain HTTP from other machines too. Over TLS, also to a proxy of TRUSTED_PROXIES, and from this machine they always are.";
    }
    "Traces" {
        "OTEL_EXPORTER_OTLP_ENDPOINT" otel_exporter_otlp_endpoint: Option<String> = Text Unset, parse::url_with_path,
            "http or https URL of an OpenTelemetry collector that takes OTLP over HTTP, such as `http://127.0.0.1:4318`: every request becomes a trace there, sent to `/v1/traces` below it. Unset: none.";
        "OTEL_EXPORTER_OTLP_HEADERS" otel_exporter_otlp_headers: Vec<(String, Secret)> = SecretList Unset, parse::otlp_headers,
            "Headers that the collector wants, such as a token: `name=value`, separated by commas, values percent-encoded.";
        "OTEL_SERVICE_NAME" otel_service_name: String = Text Text("myfsio"), parse::service_name,
            "How the node is called in traces.";
        "OTEL_TRACES_SAMPLER_ARG" otel_traces_sampler_arg: Share = Text Text("1"), parse::share,
            "Share of the requests that become traces, from 0 to 1. Requests that belong to a trace already (`traceparent`) follow that one.";
    }
    "Logs" {
        "LOG_LEVEL" log_level: String = Text Text("info"), parse::log_level,
            "`error`, `warn`, `info`, `debug`, `trace` or `off`, and `target=level` for parts, separated by commas.";
        "LOG_FORMAT" log_format: LogFormat = Text Text("text"), parse::log_format,
            "`text`, or `json` for one object a line.";
        "LOG_DIR" log_dir: Option<PathBuf> = Path Unset, parse::optional_path,
            "Folder of the rotating `app.log`. Unset: standard error.";
        "LOG_FILE_BYTES" log_file_bytes: u64 = Integer Text("16777216"), parse::number::<u64, { 64 * KIB }, GIB>,
            "Size at which `app.log` is rotated, in bytes.";
        "LOG_FILES_KEPT" log_files_kept: u32 = Integer Text("5"), parse::number::<u32, 1, 1_000>,
            "Rotated log files that are kept (`app.log.1` is the youngest).";
    }
}

impl Config {
    /// Whether both listeners can be reached from this machine only.
    pub fn is_loopback(&self) -> bool {
        self.host.to_canonical().is_loopback()
    }

    /// The files of the listeners' certificate, if they speak TLS.
    pub fn tls_paths(&self) -> Option<Paths> {
        let (cert, key) = (self.tls_cert_path.clone()?, self.tls_key_path.clone()?);
        Some(Paths { cert, key })
    }
}
