//! Each change on documents: what it writes, what it refuses, and what it leaves alone.

use serde_json::{Value, json};

use super::*;
use crate::iam::directory::Directory;
use crate::iam::document::{fill_in_ids, seal_plain};
use crate::iam::messages::{Draft, IamChange};
use crate::iam::{Holder, IamError, Named, Tags, WhichUser, inline_policies};
use crate::names::Stamp;
use crate::policy_engine::PolicyHome;
use crate::seal::{Sealer, SecretKey};

const ONE: &str = "111111111111";
const TWO: &str = "222222222222";
const NOW: Stamp = Stamp(1_700_000_000_000_000_000);

/// A file, changed as the actor changes it.
struct File {
    document: Value,
    now: Stamp,
    target: String,
}

impl File {
    fn new(mut document: Value) -> Self {
        document["note"] = json!("kept");
        Self { document, now: NOW, target: String::new() }
    }

    /// Of two accounts: `root` and `ann` in the first, `eve` in the second.
    fn of_two_accounts() -> Self {
        let user = |name: &str, account: &str, root: bool| {
            json!({"access_key": name, "secret_key": "typed by hand", "display_name": name, "account_id": account,
                "root": root, "policies": [], "color": "red"})
        };
        Self::new(json!({"users": [user("root", ONE, true), user("ann", ONE, false), user("eve", TWO, true)]}))
    }

    fn directory(&self) -> Directory {
        Directory::of(&self.document)
    }

    fn apply<M: IamChange>(&mut self, message: M) -> Result<M::Answer, IamError> {
        let sealer = Sealer::new(&SecretKey::new("test"), &[]).unwrap();
        let mut document = self.document.clone();
        fill_in_ids(&mut document)?;
        let directory = self.directory();
        let mut draft = Draft {
            document: &mut document,
            directory: &directory,
            now: self.now,
            sealer: &sealer,
            target: String::new(),
        };
        let answer = message.apply(&mut draft)?;
        self.target = draft.target;
        seal_plain(&mut document, &sealer)?;
        fill_in_ids(&mut document)?;
        assert!(self.target.starts_with("arn:aws:iam::"), "{}", self.target);
        assert_eq!(document["note"], "kept");
        assert!(!document.to_string().contains("typed by hand"), "a write seals what was typed");
        self.document = document;
        self.directory();
        Ok(answer)
    }

    /// The statement of every policy that the user holds, with where from.
    fn homes(&self, user: &str) -> Vec<PolicyHome> {
        let directory = self.directory();
        let user = directory.user(&WhichUser::from(user)).unwrap();
        directory.principal_of(&user.user_id).unwrap().policies.iter().map(|policy| policy.home.clone()).collect()
    }
}

fn named(name: &str) -> Named {
    Named::new(ONE, name)
}

fn user(name: &str) -> WhichUser {
    WhichUser::Named(named(name))
}

fn allow(action: &str) -> String {
    json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": action, "Resource": "*"}]}).to_string()
}

fn trust() -> String {
    let statement = json!({"Effect": "Allow", "Principal": {"AWS": ONE}, "Action": "sts:AssumeRole"});
    json!({"Version": "2012-10-17", "Statement": statement}).to_string()
}

fn api_user(name: &str) -> CreateUser {
    CreateUser {
        account_id: Some(ONE.to_owned()),
        user_name: Some(name.to_owned()),
        with_key: false,
        ..CreateUser::default()
    }
}

macro_rules! refused {
    ($result:expr, $kind:ident) => {{
        let result = $result;
        assert!(matches!(result, Err(IamError::$kind { .. })), "{:?}", result.err());
    }};
}

mod grants;
mod import;
mod policies;
mod users;
