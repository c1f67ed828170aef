//! The only way into IAM: lookups on the published directory, changes by message.

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::{Actor, ArbiterHandle};
use arc_swap::Guard;
use parking_lot::Mutex;

use super::actor::Iam;
use super::directory::{Directory, IamFile, KeyEntry};
use super::error::IamError;
use super::first_boot::{SeededAdmin, WELL_KNOWN_ACCESS_KEY, WELL_KNOWN_SECRET, first_admin, first_document};
use super::lockout::{Lock, Lockout};
use super::messages::{Change, IamChange, Reload};
use super::oidc::{FetchKeys, IdentityProviders, Token, Unavailable};
use super::principal::{Credential, Principal};
use super::sessions::{self, Bound, IssuedSession, OpenSessions, SessionError, SessionRequest};
use super::uses::{KeyUses, LastUse};
use crate::audit::{AuditLog, ChangeOrigin};
use crate::call::{CallError, Door};
use crate::clock::SharedClock;
use crate::json_store::{FileProblem, FileStamp, JsonStore, Published, Snapshot, StoreError};
use crate::names::{AccessKeyId, CanonicalId, Stamp};
use crate::policy_engine::RequestContext;
use crate::seal::{Sealer, SecretKey};

const CALLS_MAX: usize = 256;
const DEADLINE: Duration = Duration::from_secs(10);
/// How long an identity provider's keys may take.
const KEYS_DEADLINE: Duration = Duration::from_secs(10);

/// What IAM starts from.
#[derive(Debug, Clone)]
pub struct IamSettings {
    /// `IAM_CONFIG`; made on the first start.
    pub path: PathBuf,
    /// Whether the node listens on this machine's own addresses only.
    pub host_is_loopback: bool,
    /// `ADMIN_ACCESS_KEY`.
    pub admin_access_key: Option<String>,
    /// `ADMIN_SECRET_KEY`.
    pub admin_secret_key: Option<SecretKey>,
    /// Seals the secrets that the node writes.
    pub sealer: Sealer,
    /// Is told of every change.
    pub audit: AuditLog,
    /// What an address may get wrong in fifteen minutes, over all keys; zero is no limit.
    pub login_failures_max: u32,
}

/// IAM, started.
#[derive(Debug)]
pub struct IamStart {
    /// The client.
    pub client: IamClient,
    /// The administrator, if this start made one: to be shown once, on the terminal only.
    pub seeded: Option<SeededAdmin>,
}

/// The client. Cheap to clone.
#[derive(Clone)]
pub struct IamClient {
    door: Door<Iam>,
    providers: Door<IdentityProviders>,
    shared: Arc<Shared>,
}

struct Shared {
    directory: Snapshot<Directory>,
    path: PathBuf,
    clock: SharedClock,
    /// The access key that the operator gave the well-known secret on purpose.
    well_known_by_operator: Option<String>,
    /// Not the actor's: it is asked on every request with the header pair and outlives nothing. Held for a few map
    /// operations, never across an await.
    lockout: Mutex<Lockout>,
    /// Compared with when the access key is unknown, so that this takes as long.
    decoy: SecretKey,
    sessions: OpenSessions,
    uses: Arc<KeyUses>,
}

impl fmt::Debug for IamClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IamClient").field("path", &self.shared.path).finish_non_exhaustive()
    }
}

impl IamClient {
    /// Reads the users, makes the first administrator when there is no file yet, and starts the actor on `arbiter`, which
    /// its file writes may block for milliseconds. Errs: the file cannot be read or written, has a mistake, or holds a
    /// secret sealed under an unknown key.
    pub fn start(settings: IamSettings, clock: SharedClock, arbiter: &ArbiterHandle) -> Result<IamStart, IamError> {
        let IamSettings {
            path,
            host_is_loopback,
            admin_access_key,
            admin_secret_key,
            sealer,
            audit,
            login_failures_max,
        } = settings;
        let admin_secret = admin_secret_key.as_ref().map(SecretKey::expose);
        let by_operator = admin_secret == Some(WELL_KNOWN_SECRET);
        let known_key = || admin_access_key.clone().unwrap_or_else(|| WELL_KNOWN_ACCESS_KEY.to_owned());
        let well_known_by_operator = by_operator.then(known_key);
        let stat = |source| StoreError::Io { path: path.clone(), doing: "stat", source };
        let seeded = match FileStamp::of(&path).map_err(stat)? {
            Some(_) => None,
            None => Some(first_admin(admin_access_key.as_deref(), admin_secret, host_is_loopback)?),
        };
        let first = seeded.as_ref().map(|admin| first_document(admin, &sealer)).transpose()?;
        let empty = serde_json::json!({"users": []});
        let sessions = OpenSessions::new(sealer.clone());
        // Beside the file whose keys it tells of.
        let uses = Arc::new(KeyUses::open(path.with_file_name("last_used.json")));
        let schema = IamFile { sealer, audit, uses: Arc::clone(&uses) };
        let store = JsonStore::open(path.clone(), schema, first.as_ref(), &empty)?;
        let directory = store.snapshot();
        let mut actor = Iam::new(store, clock.clone());
        actor.tidy();
        let address = Iam::start_in_arbiter(arbiter, move |_| actor);
        let of_providers = clock.clone();
        let providers = IdentityProviders::start_in_arbiter(arbiter, move |_| IdentityProviders::new(of_providers));
        let shared = Shared {
            directory,
            path,
            clock,
            well_known_by_operator,
            lockout: Mutex::new(Lockout::new(login_failures_max)),
            decoy: SecretKey::random()?,
            sessions,
            uses,
        };
        let client = Self {
            door: Door::new(address, CALLS_MAX, DEADLINE),
            providers: Door::new(providers, CALLS_MAX, KEYS_DEADLINE),
            shared: Arc::new(shared),
        };
        Ok(IamStart { client, seeded })
    }

    /// Calls that wait for the actor, or for its answer.
    pub fn calls(&self) -> usize {
        self.door.calls()
    }

    /// Takes up a hand edit of the file, if there is one: one `stat` otherwise.
    pub async fn refresh(&self) -> Result<(), IamError> {
        self.fresh_since(Instant::now()).await.map(drop)
    }

    /// The directory with the hand edits from before `arrived`, for one look.
    async fn fresh_since(&self, arrived: Instant) -> Result<Guard<Arc<Published<Directory>>>, IamError> {
        let published = self.shared.directory.load();
        if published.is_current_for_request(&self.shared.path, arrived) {
            return Ok(published);
        }
        drop(published);
        self.door.call(Reload).await?;
        Ok(self.shared.directory.load())
    }

    /// The secret and user of an access key; `token` comes with temporary ones. `exposed`, asked only where it matters: whether the
    /// request carries a forwarded header or a Host that is not loopback. Errs: NoSuchAccessKey, Disabled, Expired,
    /// WellKnownRefused, InvalidToken, ExpiredToken.
    pub async fn credential(
        &self,
        id: &AccessKeyId,
        token: Option<&str>,
        exposed: impl FnOnce() -> bool,
    ) -> Result<Credential, IamError> {
        self.credential_since(Instant::now(), id, token, exposed).await
    }

    /// The same; hand edits count as far as they were made before `arrived`.
    pub async fn credential_since(
        &self,
        arrived: Instant,
        id: &AccessKeyId,
        token: Option<&str>,
        exposed: impl FnOnce() -> bool,
    ) -> Result<Credential, IamError> {
        let published = self.fresh_since(arrived).await?;
        if let Some(token) = token {
            return Ok(self.session(id, token)?.credential.clone());
        }
        let entry = published.state.key(id).ok_or_else(|| IamError::NoSuchAccessKey(id.clone()))?;
        self.check(id, entry, exposed)?;
        Ok(Credential { secret: entry.secret.clone(), principal: Arc::clone(&entry.principal) })
    }

    /// The user of an access key whose secret is presented as it is. Errs: as [`Self::credential`], WrongSecret, LockedOut
    /// after five wrong secrets from this address in fifteen minutes, and AddressLockedOut after many for any keys.
    pub async fn verify_secret(
        &self,
        id: &AccessKeyId,
        token: Option<&str>,
        secret: &str,
        address: Option<IpAddr>,
        exposed: bool,
    ) -> Result<Arc<Principal>, IamError> {
        self.refresh().await?;
        let now = self.shared.clock.now();
        match self.shared.lockout.lock().lock(id, address, now) {
            Some(Lock::Key(until)) => return Err(IamError::LockedOut { access_key: id.clone(), until }),
            Some(Lock::Address(until)) => return Err(IamError::AddressLockedOut { until }),
            None => {}
        }
        let session = token.map(|token| self.session(id, token)).transpose()?;
        let directory = self.directory();
        let entry = directory.key(id).filter(|_| token.is_none());
        let credential = match (&session, entry) {
            (Some(session), _) => (&session.credential.secret, &session.credential.principal),
            (None, Some(entry)) => (&entry.secret, &entry.principal),
            (None, None) => {
                let _ = self.shared.decoy.is(secret);
                self.shared.lockout.lock().count_address(address, now);
                return Err(IamError::NoSuchAccessKey(id.clone()));
            }
        };
        let (own, principal) = credential;
        if !own.is(secret) {
            self.shared.lockout.lock().count(id, address, now);
            return Err(IamError::WrongSecret(id.clone()));
        }
        self.shared.lockout.lock().prove(id, address, now);
        if let Some(entry) = entry {
            self.check(id, entry, || exposed)?;
        }
        Ok(Arc::clone(principal))
    }

    /// The session of a token, if it is that of the access key and lasts.
    fn session(&self, id: &AccessKeyId, token: &str) -> Result<Arc<Bound>, IamError> {
        let bound = self.shared.sessions.find(token, &self.directory())?;
        let now = self.shared.clock.now();
        if bound.credential.principal.access_key != *id {
            return Err(IamError::InvalidToken);
        }
        if bound.expires_at <= now {
            return Err(IamError::ExpiredToken);
        }
        match bound.holder_expires_at.is_over(now) {
            true => Err(IamError::Expired(id.clone())),
            false => Ok(bound),
        }
    }

    /// Gives a caller temporary credentials of a role (STS API Reference, AssumeRole). `context`: what conditions may ask for,
    /// without what the request says.
    pub fn assume_role(
        &self,
        caller: &Principal,
        request: &SessionRequest,
        context: &RequestContext,
    ) -> Result<IssuedSession, SessionError> {
        sessions::assume_role(&self.directory(), self.shared.sessions.sealer(), caller, request, context)
    }

    /// Gives a caller temporary credentials of its own for so many seconds (STS API Reference, GetSessionToken).
    pub fn session_token(&self, caller: &Principal, seconds: Option<u64>) -> Result<IssuedSession, SessionError> {
        sessions::session_token(self.shared.sessions.sealer(), caller, seconds, self.shared.clock.now())
    }

    /// Gives whoever shows a token of an identity provider temporary credentials of a role (STS API Reference,
    /// AssumeRoleWithWebIdentity). `context`: as in [`Self::assume_role`].
    pub async fn assume_role_with_web_identity(
        &self,
        token: &str,
        request: &SessionRequest,
        context: &RequestContext,
    ) -> Result<IssuedSession, SessionError> {
        self.refresh().await?;
        let token = Token::parse(token)?;
        let (_, _, provider) = sessions::find_provider(&self.directory(), &request.role_arn, token.issuer())?;
        let asked = FetchKeys { provider, key: token.key.clone() };
        let keys = self.providers.call(asked).await.map_err(|error: CallError<Unavailable>| match error {
            CallError::Busy => SessionError::Iam(IamError::Busy),
            CallError::Stopped => SessionError::Iam(IamError::Stopped),
            CallError::TimedOut | CallError::Refused(Unavailable) => SessionError::Communication,
        })?;
        let claims = sessions::check_token(token, &keys, context.now.seconds())?;
        sessions::federate(&self.directory(), self.shared.sessions.sealer(), request, claims, context)
    }

    fn check(&self, id: &AccessKeyId, entry: &KeyEntry, exposed: impl FnOnce() -> bool) -> Result<(), IamError> {
        let by_operator = || self.shared.well_known_by_operator.as_deref() == Some(id.as_str());
        if entry.is_well_known && !by_operator() && exposed() {
            return Err(IamError::WellKnownRefused(id.clone()));
        }
        if !entry.is_enabled {
            return Err(IamError::Disabled(id.clone()));
        }
        // Few keys have an end, and reading the clock for the others is a cost of every request.
        if entry.expires_at.has_end() && entry.expires_at.is_over(self.shared.clock.now()) {
            return Err(IamError::Expired(id.clone()));
        }
        Ok(())
    }

    /// Notes that an access key was used: `service` and `region` as the request names them. Temporary keys are not noted.
    pub fn note_use(&self, id: &AccessKeyId, service: &str, region: &str, now: Stamp) {
        let published = self.shared.directory.load();
        if let Some(entry) = published.state.key(id) {
            self.shared.uses.note(&entry.used, service, region, now);
        }
    }

    /// When an access key was last used, as far as is known.
    pub fn last_use(&self, id: &AccessKeyId) -> Option<LastUse> {
        let published = self.shared.directory.load();
        published.state.key(id).and_then(|entry| self.shared.uses.last(&entry.used))
    }

    /// Writes down when keys were used, if that has changed. Blocks for a disk's flush. Errs: the file cannot be written.
    pub fn keep_uses(&self) -> io::Result<()> {
        let directory = self.directory();
        let cells = directory.keys.iter().map(|(key, entry)| (key.clone(), Arc::clone(&entry.used)));
        self.shared.uses.keep(cells)
    }

    /// The users as last published, without looking at the file.
    pub fn directory(&self) -> Arc<Directory> {
        Arc::clone(&self.shared.directory.load().state)
    }

    /// The same for one look, which costs less than to hold them.
    pub fn with_directory<T>(&self, look: impl FnOnce(&Directory) -> T) -> T {
        look(&self.shared.directory.load().state)
    }

    /// Display name of the owner of a bucket or object.
    pub fn owner_display_name(&self, id: &CanonicalId) -> Option<String> {
        self.directory().display_name(id).map(str::to_owned)
    }

    /// Whether exactly one user goes by `name`: user id, access key, display or user name.
    pub fn is_known(&self, name: &str) -> bool {
        self.directory().find(name).is_some()
    }

    /// Whether an enabled access key still has the well-known secret.
    pub fn has_well_known_secret(&self) -> bool {
        self.directory().well_known_key().is_some()
    }

    /// Why the file's present content is not in force; none while it is.
    pub fn problem(&self) -> Option<FileProblem> {
        self.shared.directory.load().problem.clone()
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.shared.path
    }

    /// The directory with hand edits taken up.
    pub async fn fresh(&self) -> Result<Arc<Directory>, IamError> {
        self.refresh().await?;
        Ok(self.directory())
    }

    /// Changes the file; durable on return, and the directory says so already. Errs: what the message refuses; DeleteConflict when
    /// nobody would be left who administers the node.
    pub async fn change<M: IamChange>(&self, by: ChangeOrigin, message: M) -> Result<M::Answer, IamError> {
        Ok(self.door.call(Change { by, message, is_forced: false }).await?)
    }

    /// The same, whoever is left.
    pub async fn change_by_force<M: IamChange>(&self, by: ChangeOrigin, message: M) -> Result<M::Answer, IamError> {
        Ok(self.door.call(Change { by, message, is_forced: true }).await?)
    }
}
