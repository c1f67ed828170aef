//! Moving in: objects of other S3 servers, of plain folders, and of the data folders of earlier generations, brought into a node.
//!
//! A source (`source`) lists keys with their versions and opens them; `run` walks over it and stores what the node does not have yet
//! (`node`, `put`). Nothing is remembered between two runs but which large uploads were begun: what is there is asked of the node, and every
//! version has the same id each time, so that an import which was broken off goes on, and one that is repeated brings what is new.
//!
//! The source is only ever read.

mod accounts;
mod beneath;
mod credentials;
mod earlier;
mod entry;
mod folder;
mod local;
mod node;
mod put;
mod remote;
mod run;
mod settings;
mod source;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use myfsio_actors::clock::{SharedClock, SystemClock};
use myfsio_actors::names::AccessKeyId;

use crate::config::Config;
use crate::replication::{Endpoint, Remote, S3Client, Signer, allowed};
use crate::s3::auth::signing_keys::SigningKeys;
use beneath::Folder;
use credentials::Credentials;
use earlier::{Accounts, Earlier, Generation, generation};
use node::{Limits, NodeApi};
use remote::RemoteSource;
use run::Run;
pub use run::{Observer, Plan, Progress, Summary, Total};
use source::Source;

/// What is to be brought over, and from where.
#[derive(Debug, Clone)]
pub struct Import {
    /// Where from.
    pub from: From,
    /// What of it.
    pub plan: Plan,
}

/// Where from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum From {
    /// A folder.
    Folder {
        /// Its path.
        path: PathBuf,
        /// File with the `SECRET_KEY` of an earlier generation.
        secret_key_file: Option<PathBuf>,
    },
    /// Another S3 server.
    Server {
        /// Its URL.
        endpoint: String,
        /// Region that requests are signed for.
        region: Option<String>,
        /// Profile of the credentials file.
        profile: Option<String>,
        /// Whether versions that are not current come, too.
        versions: bool,
    },
}

/// Refuses the data directory of an earlier generation, in which a node of this one must not begin to write. Errs: one line.
pub fn refuse_earlier(root: &Path) -> Result<(), String> {
    match Folder::open(root).is_ok_and(|folder| generation(&folder) == Generation::Earlier) {
        true => Err(format!(
            "{0} holds the data of an earlier MyFSIO: choose a new STORAGE_ROOT, and bring it there by `myfsio import --from {0}` (docs/moving-in.md)",
            root.display()
        )),
        false => Ok(()),
    }
}

/// What an import begins with: its source is there, and can be read.
#[derive(Debug)]
pub struct Prepared {
    source: Source,
    accounts: Option<Accounts>,
    plan: Plan,
}

/// Opens the source. Errs: why it cannot be, in one line.
pub fn prepare(config: &Config, asked: &Import) -> Result<Prepared, String> {
    let (source, accounts) = match &asked.from {
        From::Folder { path, secret_key_file } => open_folder(config, path, secret_key_file.as_deref(), &asked.plan)?,
        From::Server { endpoint, region, profile, versions } => {
            let credentials = Credentials::find(profile.as_deref())?;
            let access_key_id = AccessKeyId::parse(&credentials.access_key_id)
                .map_err(|_| "the access key of the source is none".to_owned())?;
            let signer = Signer {
                access_key_id,
                secret: credentials.secret,
                region: region.clone().unwrap_or_else(|| config.aws_region.clone()),
                keys: SigningKeys::default(),
            };
            let endpoint = Endpoint::parse(endpoint)?;
            let remote = Remote { endpoint, signer: Some(signer), ahead_seconds: Arc::default() };
            let client = S3Client::new(allowed(true), clock());
            let at_once = asked.plan.at_once.saturating_mul(2);
            let source = RemoteSource::new(client, remote, credentials.token, at_once, *versions);
            (Source::Remote(Arc::new(source)), None)
        }
    };
    Ok(Prepared { source, accounts, plan: asked.plan.clone() })
}

fn clock() -> SharedClock {
    Arc::new(SystemClock)
}

fn open_folder(
    config: &Config,
    path: &Path,
    secret_key_file: Option<&Path>,
    plan: &Plan,
) -> Result<(Source, Option<Accounts>), String> {
    let shown = path.display();
    let folder = Folder::open(path).map_err(|error| format!("{shown}: {error}"))?;
    match generation(&folder) {
        Generation::Present => Err(format!(
            "{shown} is the data of a node of this generation: it is used by STORAGE_ROOT, or moved as a whole"
        )),
        Generation::Foreign if plan.into.is_none() => {
            Err(format!("{shown} is a plain folder: say with --into which bucket its files go to"))
        }
        Generation::Foreign => Ok((Source::Folder(folder), None)),
        Generation::Earlier => {
            let same = |root: &Path| {
                root.canonicalize().ok().is_some_and(|root| path.canonicalize().is_ok_and(|path| path == root))
            };
            if same(&config.storage_root) {
                return Err(format!(
                    "{shown} is STORAGE_ROOT itself: move it aside, or name another STORAGE_ROOT to import into"
                ));
            }
            let mut secrets = Vec::new();
            if let Some(file) = secret_key_file {
                let text = std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
                secrets.push(text.trim().to_owned());
            }
            secrets.extend(config.secret_key.iter().map(|secret| secret.expose().to_owned()));
            secrets.extend(config.secret_key_previous.iter().map(|secret| secret.expose().to_owned()));
            secrets.extend(std::fs::read_to_string(config.storage_root.join(".myfsio.sys/config/.secret")).ok());
            // What the earlier generations fell back to.
            secrets.push("dev-secret-key".to_owned());
            let earlier = Earlier::open(folder);
            // A part of it is no move.
            let accounts = match plan.bucket {
                None => Some(earlier.accounts(&secrets)?),
                Some(_) => None,
            };
            Ok((Source::Earlier(Arc::new(earlier)), accounts))
        }
    }
}

/// Looks at a source, and tells what would be brought over. Errs: one line.
pub fn look(prepared: Prepared, observer: &mut dyn Observer) -> Result<Summary, String> {
    let Prepared { source, accounts, plan } = prepared;
    runtime()?.block_on(Run::new(source, accounts, None, plan, observer).run())
}

/// Brings a source over into the node behind a socket. Errs: one line.
pub fn bring(
    config: &Config,
    socket: &Path,
    prepared: Prepared,
    observer: &mut dyn Observer,
) -> Result<Summary, String> {
    let Prepared { source, accounts, plan } = prepared;
    let limits = Limits { body_bytes_max: config.max_upload_size, part_bytes_min: config.multipart_min_part_size };
    runtime()?.block_on(async {
        let node = NodeApi::connect(socket, &config.storage_root, limits, clock()).await?;
        Run::new(source, accounts, Some(node), plan, observer).run().await
    })
}

fn runtime() -> Result<tokio::runtime::Runtime, String> {
    let built: io::Result<_> = tokio::runtime::Builder::new_current_thread().enable_all().build();
    built.map_err(|error| error.to_string())
}
