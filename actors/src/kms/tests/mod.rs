//! The KMS with its files: what the start finds, keys and their states, objects, blobs.

mod blobs;
mod keys;
mod objects;
mod start;

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::*;
use crate::audit::{AuditLog, ChangeOrigin};
use crate::clock::ManualClock;
use crate::encryption::{EncryptionContext, ObjectName};
use crate::names::Stamp;
use crate::seal::SecretKey;

const DAY: u64 = 86_400;
const ACCOUNT: &str = "111122223333";
const HERE: ObjectName<'static> = ObjectName { bucket: "things", key: "a/b" };
const THERE: ObjectName<'static> = ObjectName { bucket: "things", key: "a/c" };

struct Node {
    folder: tempfile::TempDir,
    clock: Arc<ManualClock>,
    settings: KmsSettings,
}

impl Node {
    /// A node with everything enabled and nothing made yet.
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let settings = KmsSettings {
            keys_path: folder.path().join("keys/kms_keys.json"),
            master_key_path: folder.path().join("keys/master.key"),
            master_key: None,
            previous_master_keys: Vec::new(),
            encryption_enabled: true,
            kms_enabled: true,
            region: "us-east-1".to_owned(),
            audit: AuditLog::nowhere(),
        };
        Self { folder, clock: Arc::new(ManualClock::new(Stamp(1_700_000_000_000_000_000))), settings }
    }

    /// Starts it, or starts it again on the same files.
    fn start(&self) -> KmsClient {
        KmsClient::start(self.settings.clone(), self.clock.clone(), &actix::Arbiter::current())
    }

    /// The same files under other settings.
    fn with(&self, change: impl FnOnce(&mut KmsSettings)) -> KmsClient {
        let mut settings = self.settings.clone();
        change(&mut settings);
        KmsClient::start(settings, self.clock.clone(), &actix::Arbiter::current())
    }

    fn keys_path(&self) -> PathBuf {
        self.settings.keys_path.clone()
    }

    fn keys_text(&self) -> String {
        fs::read_to_string(self.keys_path()).unwrap()
    }

    fn document(&self) -> Value {
        serde_json::from_str(&self.keys_text()).unwrap()
    }

    fn edit(&self, change: impl FnOnce(&mut Value)) {
        let mut document = self.document();
        change(&mut document);
        fs::write(self.keys_path(), document.to_string()).unwrap();
    }

    fn master_key_text(&self) -> String {
        fs::read_to_string(&self.settings.master_key_path).unwrap()
    }

    fn days_pass(&self, days: u64) {
        self.clock.advance(Duration::from_secs(days * DAY));
    }
}

fn by() -> ChangeOrigin {
    ChangeOrigin { principal: "arn:aws:iam::111122223333:user/ann".to_owned(), ..ChangeOrigin::default() }
}

fn new_key() -> CreateKey {
    CreateKey { account: ACCOUNT.to_owned(), ..CreateKey::default() }
}

async fn key(kms: &KmsClient) -> Arc<KmsKey> {
    kms.create_key(by(), new_key()).await.unwrap()
}

fn context(pairs: &[(&str, &str)]) -> EncryptionContext {
    pairs.iter().copied().collect()
}

/// Another master key than any that a test made.
fn other_master_key() -> String {
    "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=".to_owned()
}

fn secret(text: &str) -> SecretKey {
    SecretKey::new(text)
}
