//! The certificate that is in force, and the watch that takes in a new one.
//!
//! Only the certificate changes while the node runs: connections that are open go on, and so do the tickets by which clients come back
//! without a whole handshake.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;
use rustls::ServerConfig;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio_rustls::TlsAcceptor;

use super::pair::{Paths, Print, Unusable};
use super::validity::{Standing, Term};
use super::version::TlsVersion;
use myfsio_actors::clock::SharedClock;

/// How often the files are looked at.
const WATCH_PAUSE: Duration = Duration::from_secs(1);
/// What is offered to clients that ask (RFC 7301).
const PROTOCOL: &[u8] = b"http/1.1";

/// What takes in TLS connections. Cheap to clone.
#[derive(Clone)]
pub struct Tls {
    pub(super) acceptor: TlsAcceptor,
    shown: Arc<Shown>,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("paths", &self.shown.paths).finish_non_exhaustive()
    }
}

/// The pair that clients are shown.
#[derive(Debug)]
struct Shown {
    paths: Paths,
    pair: RwLock<Arc<CertifiedKey>>,
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.pair.read()))
    }
}

impl Tls {
    /// Reads the pair, and what looks whether it changes. Errs: the file to mend.
    pub fn open(paths: Paths, min: TlsVersion, clock: SharedClock) -> Result<(Self, Watch), Unusable> {
        let known = paths.print();
        let pair = Arc::new(paths.load()?);
        let shown = Arc::new(Shown { paths, pair: RwLock::new(pair) });
        let config = config(Arc::clone(&shown), min).map_err(|error| Unusable {
            setting: "tls_cert_path",
            path: shown.paths.cert.clone(),
            reason: error.to_string(),
        })?;
        let mut watch = Watch { shown: Arc::clone(&shown), known, suspect: None, told: None, clock };
        watch.tell();
        Ok((Self { acceptor: TlsAcceptor::from(Arc::new(config)), shown }, watch))
    }

    /// The certificate that clients are shown, whichever it is when it is asked.
    pub fn certificate(&self) -> Certificate {
        Certificate(Arc::clone(&self.shown))
    }
}

/// The certificate that clients are shown. Cheap to clone.
#[derive(Clone)]
pub struct Certificate(Arc<Shown>);

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Certificate").field(&self.0.paths.cert).finish()
    }
}

impl Certificate {
    /// From when until when it is valid; none if it does not tell.
    pub fn term(&self) -> Option<Term> {
        Term::of(&self.0.pair.read())
    }
}

fn config(shown: Arc<Shown>, min: TlsVersion) -> Result<ServerConfig, rustls::Error> {
    let versions: &[&rustls::SupportedProtocolVersion] = match min {
        TlsVersion::V1_2 => &[&rustls::version::TLS13, &rustls::version::TLS12],
        TlsVersion::V1_3 => &[&rustls::version::TLS13],
    };
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)?
        .with_no_client_auth()
        .with_cert_resolver(shown);
    config.alpn_protocols = vec![PROTOCOL.to_vec()];
    // Tickets hold the session themselves: the node remembers nothing of clients that are gone.
    config.ticketer = rustls::crypto::aws_lc_rs::Ticketer::new()?;
    Ok(config)
}

/// Looks whether the files change.
#[derive(Debug)]
pub struct Watch {
    shown: Arc<Shown>,
    /// What was taken in, or complained about, last.
    known: Print,
    /// What could not be used when it was looked at first: somebody may just be writing it.
    suspect: Option<Print>,
    /// What was told of the certificate's time last.
    told: Option<(Term, Standing)>,
    clock: SharedClock,
}

impl Watch {
    /// Looks every second, until it is dropped.
    pub async fn run(mut self) {
        loop {
            tokio::time::sleep(WATCH_PAUSE).await;
            // A certificate may lie on a slow device, and requests share this thread.
            match tokio::task::spawn_blocking(move || {
                self.look();
                self
            })
            .await
            {
                Ok(watch) => self = watch,
                Err(_) => return,
            }
        }
    }

    /// Takes in what has changed, and tells when the end of what is shown comes near.
    fn look(&mut self) {
        self.take_in();
        self.tell();
    }

    /// Tells how the certificate stands to its time, once each time that this changes.
    fn tell(&mut self) {
        let term = Term::of(&self.shown.pair.read());
        let now = term.map(|term| (term, term.standing(self.clock.now())));
        if let Some((term, standing)) = now.filter(|_| now != self.told) {
            term.tell(standing, &self.shown.paths.cert);
        }
        self.told = now;
    }

    /// Takes in what has changed. A pair that cannot be used twice in a row is told; the one before stays.
    fn take_in(&mut self) {
        let paths = &self.shown.paths;
        let print = paths.print();
        if print == self.known {
            return;
        }
        match paths.load() {
            Ok(pair) => {
                *self.shown.pair.write() = Arc::new(pair);
                (self.known, self.suspect) = (print, None);
                tracing::info!(file = %paths.cert.display(), "the TLS certificate has changed");
            }
            Err(error) if self.suspect == Some(print) => {
                (self.known, self.suspect) = (print, None);
                let (file, reason) = (error.path.display(), &error.reason);
                tracing::error!(%file, reason, "the new TLS certificate cannot be used; the one before stays in force");
            }
            Err(_) => self.suspect = Some(print),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use myfsio_actors::clock::{ManualClock, SystemClock};
    use myfsio_actors::names::Stamp;

    use super::*;

    #[test]
    fn a_new_pair_is_taken_in_and_a_broken_one_is_not() {
        let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tls");
        let dir = tempfile::tempdir().unwrap();
        let paths = Paths { cert: dir.path().join("cert"), key: dir.path().join("key") };
        let put = |cert: &str, key: &str| {
            fs::copy(fixtures.join(cert), &paths.cert).unwrap();
            fs::copy(fixtures.join(key), &paths.key).unwrap();
        };
        put("node.pem", "node.key");
        let (tls, mut watch) = Tls::open(paths.clone(), TlsVersion::V1_2, Arc::new(SystemClock)).unwrap();
        let first = Arc::clone(&tls.shown.pair.read());
        let shows_first = || Arc::ptr_eq(&first, &tls.shown.pair.read());
        watch.look();
        assert!(shows_first());
        // The certificate is renewed, the key not yet.
        put("other.pem", "node.key");
        watch.look();
        assert!(shows_first() && watch.suspect.is_some(), "perhaps it is being written");
        watch.look();
        assert!(shows_first() && watch.suspect.is_none() && watch.known == paths.print(), "told once");
        fs::remove_file(&paths.key).unwrap();
        watch.look();
        watch.look();
        assert!(shows_first());
        put("other.pem", "other.key");
        watch.look();
        assert!(!shows_first());
        assert_eq!(tls.shown.pair.read().cert, paths.load().unwrap().cert);
    }

    #[test]
    fn the_end_is_told_when_it_comes_near_while_the_node_runs() {
        let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tls");
        let paths = Paths { cert: fixtures.join("expired.pem"), key: fixtures.join("expired.key") };
        // Its last second.
        let end = 1_609_459_200;
        let clock = Arc::new(ManualClock::new(Stamp((end - 40 * 86_400) * 1_000_000_000)));
        let (tls, mut watch) = Tls::open(paths, TlsVersion::V1_2, Arc::clone(&clock) as SharedClock).unwrap();
        assert_eq!(tls.certificate().term().unwrap().until_seconds(), 1_609_459_200);
        let mut told = vec![watch.told.unwrap().1];
        for _ in 0..41 {
            clock.advance(Duration::from_secs(86_400));
            watch.look();
            told.push(watch.told.unwrap().1);
        }
        told.dedup();
        assert_eq!(told, [Standing::Good, Standing::EndsWithinMonth, Standing::EndsWithinWeek, Standing::Over]);
    }
}
