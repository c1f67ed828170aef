//! Master key and file of keys: made once, told apart, never replaced.

use std::os::unix::fs::PermissionsExt as _;

use super::*;

fn file_names(node: &Node) -> Vec<String> {
    let Ok(entries) = fs::read_dir(node.folder.path().join("keys")) else { return Vec::new() };
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Everything is refused, in the same words.
async fn assert_unusable(kms: &KmsClient, told: &str, trouble: &str) {
    let reason = kms.trouble().unwrap();
    assert!(reason.contains(trouble), "{reason}");
    let refusals = [
        kms.seal_managed(&HERE).unwrap_err(),
        kms.find("alias/x").unwrap_err(),
        kms.keys().unwrap_err(),
        kms.ensure_default_key().await.unwrap_err(),
        kms.create_key(by(), new_key()).await.unwrap_err(),
        kms.encrypt("alias/x", b"x", &EncryptionContext::default()).unwrap_err(),
    ];
    for refusal in refusals {
        assert!(matches!(&refusal, KmsError::Unusable(reason) if reason.contains(told)), "{refusal}");
    }
}

#[actix::test]
async fn the_first_start_makes_a_master_key_and_the_next_ones_keep_it() {
    let node = Node::new();
    let kms = node.start();
    assert_eq!(kms.trouble(), None);
    assert_eq!(file_names(&node), ["kms_keys.json", "master.key"]);
    for name in file_names(&node) {
        let mode = fs::metadata(node.folder.path().join("keys").join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    let (master_key, keys) = (node.master_key_text(), node.keys_text());
    let sealed = kms.seal_managed(&HERE).unwrap();
    let again = node.start();
    assert_eq!((node.master_key_text(), node.keys_text()), (master_key.clone(), keys.clone()));
    assert_eq!(again.open(&sealed.encryption, &HERE, None).unwrap().expose(), sealed.key.expose());
    assert!(!keys.contains(&master_key));
}

#[actix::test]
async fn nothing_is_made_where_nothing_is_to_be_sealed() {
    let node = Node::new();
    let kms = node.with(|settings| (settings.encryption_enabled, settings.kms_enabled) = (false, false));
    assert_eq!(file_names(&node), Vec::<String>::new());
    assert_eq!(kms.trouble(), None);
    assert!(matches!(kms.seal_managed(&HERE), Err(KmsError::EncryptionDisabled)));
    assert!(matches!(kms.create_key(by(), new_key()).await, Err(KmsError::KmsDisabled)));
    assert!(matches!(kms.find("alias/x"), Err(KmsError::Unusable(_))));
}

#[actix::test]
async fn what_was_encrypted_is_read_when_encryption_is_off_again() {
    let node = Node::new();
    let kms = node.start();
    let (managed, own) = (kms.seal_managed(&HERE).unwrap(), key(&kms).await);
    let under_key = kms.seal_with_key(&own.id, EncryptionContext::default(), false, &HERE).unwrap();
    let kms = node.with(|settings| (settings.encryption_enabled, settings.kms_enabled) = (false, false));
    for sealed in [&managed, &under_key] {
        assert_eq!(kms.open(&sealed.encryption, &HERE, None).unwrap().expose(), sealed.key.expose());
        assert!(matches!(kms.seal_managed(&HERE), Err(KmsError::EncryptionDisabled)));
    }
    let sealed = kms.seal_with_key(&own.id, EncryptionContext::default(), false, &HERE);
    assert!(matches!(sealed, Err(KmsError::EncryptionDisabled)));
    assert!(matches!(kms.enable(by(), &own.id).await, Err(KmsError::KmsDisabled)));
    let kms = node.with(|settings| settings.kms_enabled = false);
    let sealed = kms.seal_with_key(&own.id, EncryptionContext::default(), false, &HERE);
    assert!(matches!(sealed, Err(KmsError::KmsDisabled)));
}

#[actix::test]
async fn a_missing_wrong_or_malformed_master_key_is_told_and_never_replaced() {
    let node = Node::new();
    let kms = node.start();
    let sealed = kms.seal_managed(&HERE).unwrap();
    let (path, own, keys) = (node.settings.master_key_path.clone(), node.master_key_text(), node.keys_text());

    fs::remove_file(&path).unwrap();
    for enabled in [true, false] {
        let kms = node.with(|settings| (settings.encryption_enabled, settings.kms_enabled) = (enabled, enabled));
        assert!(kms.trouble().unwrap().contains("master.key is not there"));
        assert!(matches!(kms.open(&sealed.encryption, &HERE, None), Err(KmsError::Unusable(_))));
    }
    assert_unusable(&node.start(), "is missing", "master.key is not there").await;
    assert!(!path.exists());

    fs::write(&path, other_master_key()).unwrap();
    assert_unusable(&node.start(), "is not the one", "kms_keys.json was sealed under master key").await;
    assert_eq!(node.master_key_text(), other_master_key());

    for malformed in ["", "no key", &own[1..]] {
        fs::write(&path, malformed).unwrap();
        assert_unusable(&node.start(), "is malformed", "master.key does not hold 32 bytes").await;
        assert_eq!(node.master_key_text(), malformed);
    }
    assert_eq!(node.keys_text(), keys, "nor is the file of keys");

    fs::write(&path, own).unwrap();
    let kms = node.start();
    assert_eq!(kms.trouble(), None);
    assert_eq!(kms.open(&sealed.encryption, &HERE, None).unwrap().expose(), sealed.key.expose());
}

#[actix::test]
async fn the_environment_gives_the_master_key_in_place_of_the_file() {
    let node = Node::new();
    let with = |key: &str| node.with(|settings| settings.master_key = Some(secret(key)));
    let kms = with(&other_master_key());
    assert_eq!(file_names(&node), ["kms_keys.json"]);
    let sealed = kms.seal_managed(&HERE).unwrap();
    let again = with(&other_master_key());
    assert_eq!(again.open(&sealed.encryption, &HERE, None).unwrap().expose(), sealed.key.expose());
    assert_unusable(&node.start(), "is missing", "master.key is not there").await;
    assert_unusable(&with("x"), "is malformed", "ENCRYPTION_MASTER_KEY is not base64").await;
    assert_unusable(
        &node.with(|settings| {
            settings.master_key = Some(secret(&other_master_key()));
            settings.previous_master_keys = vec![secret("x")];
        }),
        "is malformed",
        "ENCRYPTION_MASTER_KEY_PREVIOUS is not base64",
    )
    .await;
}

#[actix::test]
async fn a_former_master_key_opens_and_keys_are_sealed_under_the_new_one() {
    let node = Node::new();
    let kms = node.start();
    let own = key(&kms).await;
    kms.rotate(by(), &own.id).await.unwrap();
    let managed = kms.seal_managed(&HERE).unwrap();
    let under_key = kms.seal_with_key(&own.id, EncryptionContext::default(), false, &HERE).unwrap();
    let (former, before) = (node.master_key_text(), node.document());

    fs::write(&node.settings.master_key_path, other_master_key()).unwrap();
    let kms = node.with(|settings| settings.previous_master_keys = vec![secret(&former)]);
    assert_eq!(kms.trouble(), None);
    let after = node.document();
    assert_ne!(before["master"], after["master"]);
    for version in [0, 1] {
        let sealed = |document: &Value| document["keys"][0]["materials"][version]["sealed"].clone();
        assert_ne!(sealed(&before), sealed(&after));
    }
    for sealed in [&managed, &under_key] {
        assert_eq!(kms.open(&sealed.encryption, &HERE, None).unwrap().expose(), sealed.key.expose());
    }
    let rewrapped = kms.rewrap(&managed.encryption, &HERE, None).unwrap().unwrap();
    assert_eq!(kms.rewrap(&rewrapped, &HERE, None).unwrap(), None, "it is the newest already");
    assert_eq!(kms.rewrap(&under_key.encryption, &HERE, None).unwrap(), None, "no business of the master key");

    let kms = node.start();
    assert_eq!(kms.trouble(), None);
    assert_eq!(kms.open(&rewrapped, &HERE, None).unwrap().expose(), managed.key.expose());
    assert_eq!(kms.open(&under_key.encryption, &HERE, None).unwrap().expose(), under_key.key.expose());
    let error = kms.open(&managed.encryption, &HERE, None).unwrap_err();
    assert!(matches!(&error, KmsError::UnknownMasterKey { id } if before["master"]["id"] == **id), "{error}");
}

#[actix::test]
async fn a_broken_file_of_keys_is_told_and_never_overwritten() {
    let node = Node::new();
    let kms = node.start();
    let own = key(&kms).await;
    let (good, master_key) = (node.keys_text(), node.master_key_text());
    let flipped = {
        let mut document = node.document();
        let sealed = document["keys"][0]["materials"][0]["sealed"].as_str().unwrap().to_owned();
        let other = if sealed.starts_with('A') { "B" } else { "A" };
        document["keys"][0]["materials"][0]["sealed"] = format!("{other}{}", &sealed[1..]).into();
        document.to_string()
    };
    let without = |field: &str| {
        let mut document = node.document();
        document.as_object_mut().unwrap().remove(field);
        document.to_string()
    };
    let half = &good[..good.len() / 2];
    let later = good.replace("\"format\": 1", "\"format\": 2");
    for (broken, reason) in [
        ("", "EOF"),
        (half, "kms_keys.json, line"),
        ("[]", "kms_keys.json"),
        (&flipped, "version 1 of its material was changed"),
        (&without("master"), "no master key is named"),
        (&later, "format 2 is that of a later version"),
    ] {
        fs::write(node.keys_path(), broken).unwrap();
        assert_unusable(&node.start(), "file of keys", reason).await;
        assert_eq!((node.keys_text(), node.master_key_text()), (broken.to_owned(), master_key.clone()));
    }
    fs::write(node.keys_path(), good).unwrap();
    assert!(node.start().find(&own.id).is_ok());
}

#[actix::test]
async fn a_material_is_that_of_its_key_and_version_only() {
    let node = Node::new();
    let kms = node.start();
    let (one, _) = (key(&kms).await, key(&kms).await);
    kms.rotate(by(), &one.id).await.unwrap();
    let good = node.document();
    for (from, to) in [((0, 0), (1, 0)), ((0, 0), (0, 1))] {
        node.edit(|document| {
            *document = good.clone();
            let sealed = document["keys"][from.0]["materials"][from.1]["sealed"].clone();
            document["keys"][to.0]["materials"][to.1]["sealed"] = sealed;
        });
        assert_unusable(&node.start(), "file of keys", "is that of another key").await;
    }
}

#[actix::test]
async fn a_start_that_was_cut_off_is_finished_by_the_next() {
    let node = Node::new();
    let first = node.start();
    let sealed = first.seal_managed(&HERE).unwrap();
    // As after the master key was made and before the file of keys was.
    fs::remove_file(node.keys_path()).unwrap();
    let kms = node.start();
    assert_eq!(kms.open(&sealed.encryption, &HERE, None).unwrap().expose(), sealed.key.expose());
    assert!(node.document()["master"]["check"].is_string());
    // As after the master key was written and before it got its name.
    let node = Node::new();
    fs::create_dir_all(node.folder.path().join("keys")).unwrap();
    fs::write(node.folder.path().join("keys/master.tmp"), "half a k").unwrap();
    assert_eq!(node.start().trouble(), None);
    assert_eq!(file_names(&node), ["kms_keys.json", "master.key"]);
}

#[actix::test]
async fn a_write_that_was_cut_off_leaves_the_former_state() {
    let node = Node::new();
    let own = key(&node.start()).await;
    let good = node.keys_text();
    let temporary = node.folder.path().join("keys/.kms_keys.json.tmp");
    for end in (0..good.len()).step_by(97) {
        fs::write(&temporary, &good[..end]).unwrap();
        let kms = node.start();
        assert_eq!((kms.trouble(), kms.keys().unwrap().len()), (None, 1));
    }
    let kms = node.start();
    kms.disable(by(), &own.id).await.unwrap();
    assert!(!temporary.exists());
    assert_eq!(node.start().find(&own.id).unwrap().state, KeyState::Disabled);
}

#[actix::test]
async fn a_file_that_cannot_be_written_changes_nothing() {
    let node = Node::new();
    let kms = node.start();
    let own = key(&kms).await;
    let good = node.keys_text();
    // In the way of the temporary file, and nothing that can be set aside.
    let temporary = node.folder.path().join("keys/.kms_keys.json.tmp");
    fs::create_dir(&temporary).unwrap();
    fs::create_dir_all(node.folder.path().join("keys/.kms_keys.json.left/full")).unwrap();
    assert!(matches!(kms.disable(by(), &own.id).await, Err(KmsError::Store(_))));
    assert_eq!((kms.find(&own.id).unwrap().state, node.keys_text()), (KeyState::Enabled, good));
    fs::remove_dir(&temporary).unwrap();
    kms.disable(by(), &own.id).await.unwrap();
}

#[actix::test]
async fn a_master_key_that_cannot_be_made_is_told() {
    let node = Node::new();
    fs::write(node.folder.path().join("keys"), "no folder").unwrap();
    let kms = node.start();
    assert!(kms.trouble().is_some());
    assert!(matches!(kms.seal_managed(&HERE), Err(KmsError::Unusable(_))));
}

#[actix::test]
async fn what_others_wrote_into_the_file_is_kept() {
    let node = Node::new();
    let own = key(&node.start()).await;
    node.edit(|document| {
        document["note"] = "of a person".into();
        document["keys"][0]["note"] = "of another".into();
    });
    let kms = node.start();
    kms.disable(by(), &own.id).await.unwrap();
    let document = node.document();
    assert_eq!((&document["note"], &document["keys"][0]["note"]), (&"of a person".into(), &"of another".into()));
}
