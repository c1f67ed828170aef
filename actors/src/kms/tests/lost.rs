//! Keys that are in use, as the index counts it, and that the start does not find.

use super::*;

fn managed(id: &str, objects: u64) -> (WrappingKey, KeyUse) {
    (WrappingKey::Managed(id.to_owned()), KeyUse { objects, uploads: 0 })
}

fn under_key(id: &str) -> (WrappingKey, KeyUse) {
    (WrappingKey::Kms(id.to_owned()), KeyUse { objects: 2, uploads: 1 })
}

/// A node with an object under its master key and two under a key, which it is told of from now on; the id of both.
async fn used() -> (Node, String, String) {
    let mut node = Node::new();
    let own = key(&node.start()).await;
    let master = node.document()["master"]["id"].as_str().unwrap().to_owned();
    node.settings.in_use = vec![managed(&master, 5), under_key(&own.id)];
    assert_eq!(node.start().trouble(), None);
    (node, master, own.id.clone())
}

fn assert_refuses(kms: &KmsClient, told: &str) {
    let error = kms.seal_managed(&HERE).unwrap_err();
    assert!(matches!(&error, KmsError::Unusable(reason) if reason.contains(told)), "{error}");
}

#[actix::test]
async fn no_master_key_is_made_while_something_is_encrypted_under_a_lost_one() {
    let (node, master, own) = used().await;
    let folder = node.folder.path().join("keys");
    let kept = [node.master_key_text(), node.keys_text()];
    fs::remove_dir_all(&folder).unwrap();
    for enabled in [true, false] {
        let kms = node.with(|settings| (settings.encryption_enabled, settings.kms_enabled) = (enabled, enabled));
        let trouble = kms.trouble().unwrap();
        for told in [
            "there is neither",
            &format!("master key {master} (5 objects, 0 uploads)"),
            &format!("KMS key {own} (2 objects, 1 uploads)"),
        ] {
            assert!(trouble.contains(told), "{trouble}");
        }
        assert!(matches!(kms.find(&own), Err(KmsError::Unusable(reason)) if reason.contains(&master)));
        assert!(!folder.exists());
    }
    assert_refuses(&node.start(), &master);
    // Nor when only KMS keys are in use.
    let kms = node.with(|settings| settings.in_use.retain(|(key, _)| matches!(key, WrappingKey::Kms(_))));
    assert_refuses(&kms, "neither a master key nor the KMS keys");
    assert!(!folder.exists());

    fs::create_dir(&folder).unwrap();
    fs::write(&node.settings.master_key_path, &kept[0]).unwrap();
    fs::write(node.keys_path(), &kept[1]).unwrap();
    assert_eq!(node.start().trouble(), None);
}

#[actix::test]
async fn a_master_key_that_nothing_names_is_not_taken_unless_it_is_given() {
    let (node, master, own) = used().await;
    let right = node.master_key_text();
    fs::remove_file(node.keys_path()).unwrap();
    fs::write(&node.settings.master_key_path, other_master_key()).unwrap();
    let kms = node.start();
    assert!(kms.trouble().unwrap().contains("under which nothing is encrypted"));
    assert_refuses(&kms, &master);
    assert!(!node.keys_path().exists());
    // The right one beside it tells that it belongs here.
    let kms = node.with(|settings| settings.previous_master_keys = vec![secret(&right)]);
    kms.seal_managed(&HERE).unwrap();
    assert!(kms.trouble().unwrap().contains(&own) && !kms.trouble().unwrap().contains(&master));

    fs::remove_file(node.keys_path()).unwrap();
    let kms = node.with(|settings| settings.master_key = Some(secret(&other_master_key())));
    kms.seal_managed(&HERE).unwrap();
    let trouble = kms.trouble().unwrap();
    assert!(trouble.contains(&format!("master key {master} (5 objects")), "{trouble}");
    // From then on it is the one that the file names.
    node.start().seal_managed(&HERE).unwrap();
}

#[actix::test]
async fn keys_that_are_missing_are_told_and_the_others_used() {
    let (mut node, master, own) = used().await;
    let former = node.start().seal_managed(&HERE).unwrap();
    let under = node.start().seal_with_key(&own, EncryptionContext::default(), false, &HERE).unwrap();
    let keys = node.keys_text();
    // The file of keys is lost, and the master key is the right one.
    fs::remove_file(node.keys_path()).unwrap();
    let kms = node.start();
    let trouble = kms.trouble().unwrap();
    assert!(trouble.contains(&own) && !trouble.contains(&master), "{trouble}");
    kms.open(&former.encryption, &HERE, None).unwrap();
    let error = kms.open(&under.encryption, &HERE, None).unwrap_err();
    assert!(matches!(&error, KmsError::NotFound(reason) if reason.contains("was lost")), "{error}");
    assert!(matches!(kms.key_of_object(&own), Err(KmsError::NotFound(reason)) if reason.contains("was lost")));
    assert!(matches!(kms.find(&own), Err(KmsError::NotFound(reason)) if reason.ends_with("does not exist")));
    fs::write(node.keys_path(), keys).unwrap();

    // A former master key is not given any more.
    let right = node.master_key_text();
    fs::write(&node.settings.master_key_path, other_master_key()).unwrap();
    assert_eq!(node.with(|settings| settings.previous_master_keys = vec![secret(&right)]).trouble(), None);
    let kms = node.start();
    let trouble = kms.trouble().unwrap();
    assert!(trouble.contains(&format!("cannot be read: master key {master} (5 objects, 0 uploads);")), "{trouble}");
    kms.seal_managed(&HERE).unwrap();
    assert!(!kms.has_master_key(&master).unwrap());

    // A key that was destroyed on purpose is not lost.
    node.settings.in_use = vec![under_key(&own)];
    let kms = node.start();
    kms.schedule_deletion(by(), &own, Some(7), KeyUse { objects: 2, uploads: 1 }).await.unwrap();
    node.days_pass(8);
    let _ = kms.cancel_deletion(by(), &own).await;
    let kms = node.start();
    assert!(matches!(kms.find(&own), Err(KmsError::Destroyed { .. })));
    assert_eq!(kms.trouble(), None);
}
