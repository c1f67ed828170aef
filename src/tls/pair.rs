//! A certificate chain and its private key, in PEM (RFC 7468), and whether they can be used.

use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustls::pki_types::pem::{Error as PemError, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys};
use zeroize::Zeroizing;

/// Largest file that is read, in bytes.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// Where a certificate and its key are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paths {
    /// The chain, the node's own certificate first (`TLS_CERT_PATH`).
    pub cert: PathBuf,
    /// The private key (`TLS_KEY_PATH`).
    pub key: PathBuf,
}

/// A file that cannot serve; one line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {reason}", path.display())]
pub struct Unusable {
    /// The setting that names it.
    pub setting: &'static str,
    /// The file.
    pub path: PathBuf,
    /// Why not.
    pub reason: String,
}

/// By what a change of the two files is noticed: device, inode, size, modification and change time of each.
pub type Print = [Option<[i64; 7]>; 2];

impl Paths {
    /// What the files look like now, through symbolic links: whoever renews certificates often switches one.
    pub fn print(&self) -> Print {
        [&self.cert, &self.key].map(|path| {
            let found = fs::metadata(path).ok()?;
            let (device, inode, size) =
                (found.dev().cast_signed(), found.ino().cast_signed(), found.size().cast_signed());
            Some([device, inode, size, found.mtime(), found.mtime_nsec(), found.ctime(), found.ctime_nsec()])
        })
    }

    /// Reads both and checks that they belong together. Errs: the file to mend.
    pub fn load(&self) -> Result<CertifiedKey, Unusable> {
        let of_cert = |reason: String| Unusable { setting: "tls_cert_path", path: self.cert.clone(), reason };
        let of_key = |reason: String| Unusable { setting: "tls_key_path", path: self.key.clone(), reason };
        let text = read(&self.cert).map_err(of_cert)?;
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
        let chain = chain.map_err(|error| of_cert(told(&error, "certificate")))?;
        if chain.is_empty() {
            return Err(of_cert(told(&PemError::NoItemsFound, "certificate")));
        }
        let text = read(&self.key).map_err(of_key)?;
        let key = PrivateKeyDer::from_pem_slice(&text).map_err(|error| match is_encrypted(&text) {
            true => of_key("the private key is protected by a passphrase, which nobody can type here".to_owned()),
            false => of_key(told(&error, "private key")),
        })?;
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let key = provider.key_provider.load_private_key(key).map_err(|error| of_key(error.to_string()))?;
        let pair = CertifiedKey::new(chain, key);
        match pair.keys_match() {
            Ok(()) | Err(Error::InconsistentKeys(InconsistentKeys::Unknown)) => Ok(pair),
            Err(Error::InconsistentKeys(_)) => {
                Err(of_key(format!("is not the key of the certificate in {}", self.cert.display())))
            }
            Err(error) => Err(of_cert(format!("the first certificate cannot be read: {error}"))),
        }
    }
}

fn told(error: &PemError, what: &str) -> String {
    match error {
        PemError::NoItemsFound => format!("holds no {what} in PEM (-----BEGIN …-----)"),
        // Its text has the bytes of the line as numbers.
        PemError::MissingSectionEnd { .. } => "a section of its PEM has no end".to_owned(),
        PemError::IllegalSectionStart { .. } => "a section of its PEM has no proper beginning".to_owned(),
        other => other.to_string(),
    }
}

fn is_encrypted(text: &[u8]) -> bool {
    let holds = |marker: &[u8]| memchr::memmem::find(text, marker).is_some();
    holds(b"-----BEGIN ENCRYPTED PRIVATE KEY-----") || holds(b"Proc-Type: 4,ENCRYPTED")
}

fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, String> {
    let file = File::open(path).map_err(|error| error.to_string())?;
    let mut text = Zeroizing::new(Vec::new());
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut text).map_err(|error| error.to_string())?;
    match text.len() as u64 > FILE_BYTES_MAX {
        true => Err(format!("is larger than {FILE_BYTES_MAX} bytes")),
        false => Ok(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fixture(name: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tls").join(name)
    }

    fn load(cert: &Path, key: &Path) -> Result<CertifiedKey, Unusable> {
        Paths { cert: cert.to_owned(), key: key.to_owned() }.load()
    }

    #[test]
    fn what_belongs_together_is_taken() {
        for (cert, key) in [("node.pem", "node.key"), ("rsa.pem", "rsa.key")] {
            let pair = load(&fixture(cert), &fixture(key)).unwrap();
            assert!(!pair.cert.is_empty(), "{cert}");
        }
    }

    #[test]
    fn what_does_not_is_refused_by_the_file_to_mend() {
        let dir = tempfile::tempdir().unwrap();
        let written = |name: &str, text: &[u8]| {
            let path = dir.path().join(name);
            fs::write(&path, text).unwrap();
            path
        };
        let (cert, key) = (fixture("node.pem"), fixture("node.key"));
        let text = fs::read_to_string(&cert).unwrap();
        let broken = written("broken", &text.as_bytes()[..text.len() - 40]);
        let garbage = written("garbage", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
        let no_key = written("no-key", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n");
        let sealed =
            written("sealed", b"-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n");
        let empty = written("empty", b"");
        let large = written("large", &vec![b'x'; 1024 * 1024 + 1]);
        for (cert, key, setting, reason) in [
            (&fixture("absent"), &key, "tls_cert_path", "No such file"),
            (&empty, &key, "tls_cert_path", "holds no certificate"),
            (&key, &key, "tls_cert_path", "holds no certificate"),
            (&broken, &key, "tls_cert_path", "has no end"),
            (&garbage, &key, "tls_cert_path", "the first certificate cannot be read"),
            (&large, &key, "tls_cert_path", "is larger than"),
            (&cert, &fixture("absent"), "tls_key_path", "No such file"),
            (&cert, &cert, "tls_key_path", "holds no private key"),
            (&cert, &no_key, "tls_key_path", ""),
            (&cert, &sealed, "tls_key_path", "passphrase"),
            (&cert, &fixture("other.key"), "tls_key_path", "is not the key of the certificate in"),
        ] {
            let error = load(cert, key).unwrap_err();
            assert_eq!(error.setting, setting, "{error}");
            assert!(error.to_string().contains(reason) && !error.to_string().contains('\n'), "{error}");
        }
    }

    #[test]
    fn a_change_is_seen_in_the_print() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let paths = Paths { cert: at("cert"), key: at("key") };
        let mut seen = vec![paths.print()];
        let mut see = || {
            let print = paths.print();
            assert!(!seen.contains(&print), "{print:?}");
            seen.push(print);
        };
        fs::copy(fixture("node.pem"), at("one.pem")).unwrap();
        fs::copy(fixture("node.pem"), at("two.pem")).unwrap();
        std::os::unix::fs::symlink("one.pem", at("cert")).unwrap();
        see();
        fs::remove_file(at("cert")).unwrap();
        std::os::unix::fs::symlink("two.pem", at("cert")).unwrap();
        see();
        fs::write(at("key"), "x").unwrap();
        see();
    }
}
