//! Keys: making, states, rotation, deletion, aliases, tags, policies.

use super::*;

async fn under(kms: &KmsClient, key: &str) -> Result<Vec<u8>, KmsError> {
    kms.encrypt(key, b"plain", &EncryptionContext::default()).map(|ciphertext| ciphertext.blob)
}

/// A policy, not written as a program would.
const POLICY: &str =
    r#"{ "Version":"2012-10-17",  "Statement":{"Effect":"Allow","Principal":"*","Action":"kms:*","Resource":"*"}}"#;

fn policy_of(key: &KmsKey) -> Option<Arc<str>> {
    key.policy.as_ref().map(|policy| Arc::clone(policy.text()))
}

#[actix::test]
async fn a_key_is_as_it_was_asked_for_and_survives_a_restart() {
    let node = Node::new();
    let kms = node.start();
    let asked = CreateKey {
        alias: Some("alias/photos".to_owned()),
        description: "Of phötos".to_owned(),
        tags: vec![("team".to_owned(), "ops".to_owned())],
        policy: Some(POLICY.to_owned()),
        account: ACCOUNT.to_owned(),
        creator: Some("arn:aws:iam::111122223333:user/ann".to_owned()),
    };
    let made = kms.create_key(by(), asked.clone()).await.unwrap();
    for kms in [kms, node.start()] {
        let key = kms.find("alias/photos").unwrap();
        assert_eq!(key.arn, format!("arn:aws:kms:us-east-1:{ACCOUNT}:key/{}", key.id));
        assert_eq!((&key.id, &key.description, &key.creator), (&made.id, &asked.description, &asked.creator));
        assert_eq!((policy_of(&key).as_deref(), key.manager), (Some(POLICY), KeyManager::Customer));
        assert_eq!((key.tags["team"].as_str(), key.state), ("ops", KeyState::Enabled));
        assert_eq!(key.aliases, ["alias/photos"]);
        assert_eq!((key.created_at, key.materials().len()), (node.clock_now(), 1));
        let alias = kms.aliases().unwrap().remove(0);
        assert_eq!(alias.arn, format!("arn:aws:kms:us-east-1:{ACCOUNT}:alias/photos"));
        for name in [&key.id, &key.arn, &alias.arn] {
            assert_eq!(kms.find(name).unwrap().id, made.id, "{name}");
        }
        assert_eq!(kms.keys().unwrap().len(), 1);
    }
    let shown = format!("{made:?}");
    assert!(
        shown.contains("***") && !shown.contains(&node.document()["keys"][0]["materials"][0]["sealed"].to_string())
    );
}

#[actix::test]
async fn names_that_name_nothing() {
    let node = Node::new();
    let kms = node.start();
    let own = key(&kms).await;
    let not_found = |name: &str| matches!(kms.find(name), Err(KmsError::NotFound(_)));
    assert!(not_found("alias/none") && not_found("nonsense") && not_found(""));
    assert!(not_found("00000000-0000-4000-8000-000000000000"));
    assert!(not_found(&own.arn.replace(ACCOUNT, "444455556666")), "of another account");
    assert!(not_found(&own.arn.replace("us-east-1", "eu-west-1")), "of another region");
    assert!(matches!(kms.find(&own.arn.replace(":kms:", ":s3:")), Err(KmsError::InvalidArn(_))));
    assert_eq!(kms.find("alias/none").unwrap_err().to_string(), "Alias alias/none is not found.");
}

#[actix::test]
async fn states_decide_what_a_key_may_do() {
    let node = Node::new();
    let kms = node.start();
    let own = key(&kms).await;
    let blob = under(&kms, &own.id).await.unwrap();
    let open = |kms: &KmsClient| kms.decrypt(&blob, None, &EncryptionContext::default()).map(drop);

    assert_eq!(kms.disable(by(), &own.id).await.unwrap().state, KeyState::Disabled);
    for error in [
        under(&kms, &own.id).await.unwrap_err(),
        open(&kms).unwrap_err(),
        kms.rotate(by(), &own.id).await.unwrap_err(),
        kms.set_rotation(by(), &own.id, Some(90)).await.unwrap_err(),
        kms.generate_data_key(&own.id, 32, &EncryptionContext::default()).unwrap_err(),
    ] {
        assert!(matches!(&error, KmsError::Disabled { arn } if *arn == own.arn), "{error}");
        assert_eq!(error.to_string(), format!("{} is disabled.", own.arn));
    }
    assert!(kms.update_description(by(), &own.id, "still").await.is_ok());
    assert_eq!(kms.enable(by(), &own.id).await.unwrap().state, KeyState::Enabled);
    open(&kms).unwrap();
    assert!(matches!(kms.cancel_deletion(by(), &own.id).await, Err(KmsError::NotPendingDeletion { .. })));

    let (pending, at) = kms.schedule_deletion(by(), &own.id, None, KeyUse::default()).await.unwrap();
    assert_eq!((pending.state, at), (KeyState::PendingDeletion { at }, node.clock_now().after(30 * DAY)));
    for error in [
        under(&kms, &own.id).await.unwrap_err(),
        open(&kms).unwrap_err(),
        kms.enable(by(), &own.id).await.unwrap_err(),
        kms.disable(by(), &own.id).await.unwrap_err(),
        kms.rotate(by(), &own.id).await.unwrap_err(),
        kms.update_description(by(), &own.id, "no").await.unwrap_err(),
        kms.create_alias(by(), "alias/late", &own.id).await.unwrap_err(),
        kms.tag(by(), &own.id, Vec::new()).await.unwrap_err(),
        kms.schedule_deletion(by(), &own.id, Some(7), KeyUse::default()).await.unwrap_err(),
    ] {
        assert!(matches!(&error, KmsError::PendingDeletion { arn } if *arn == own.arn), "{error}");
    }
    assert!(kms.put_policy(by(), &own.id, Some(POLICY.to_owned())).await.is_ok());
    assert_eq!(kms.cancel_deletion(by(), &own.id).await.unwrap().state, KeyState::Disabled);
    kms.enable(by(), &own.id).await.unwrap();
    open(&kms).unwrap();
    for days in [0, 6, 31] {
        assert!(matches!(
            kms.schedule_deletion(by(), &own.id, Some(days), KeyUse::default()).await,
            Err(KmsError::Validation(_))
        ));
    }
}

#[actix::test]
async fn a_key_is_destroyed_when_its_time_is_over() {
    let node = Node::new();
    let kms = node.start();
    let (own, other) = (key(&kms).await, key(&kms).await);
    kms.create_alias(by(), "alias/own", &own.id).await.unwrap();
    let sealed = kms.seal_with_key(&own.id, EncryptionContext::default(), false, &HERE).unwrap();
    let blob = under(&kms, &own.id).await.unwrap();
    let material = node.document()["keys"][0]["materials"][0]["sealed"].as_str().unwrap().to_owned();
    kms.schedule_deletion(by(), &own.id, Some(7), KeyUse::default()).await.unwrap();
    node.days_pass(6);
    assert!(node.start().find(&own.id).is_ok());
    node.days_pass(1);

    // Nobody looked yet; the next change does so first.
    assert!(matches!(kms.cancel_deletion(by(), &own.id).await, Err(KmsError::Destroyed { .. })));
    assert!(!node.keys_text().contains(&material));
    for kms in [kms, node.start()] {
        for name in [&own.id, &own.arn] {
            let error = kms.find(name).unwrap_err();
            assert!(matches!(&error, KmsError::Destroyed { arn, .. } if *arn == own.arn), "{error}");
            assert!(error.to_string().contains("cannot be read any more"));
        }
        assert!(matches!(kms.find("alias/own"), Err(KmsError::NotFound(_))));
        assert!(matches!(kms.open(&sealed.encryption, &HERE, None), Err(KmsError::Destroyed { .. })));
        let decrypted = kms.decrypt(&blob, None, &EncryptionContext::default());
        assert!(matches!(decrypted, Err(KmsError::KeyOfCiphertextNotFound)));
        assert_eq!(kms.keys().unwrap().len(), 1);
        assert!(kms.find(&other.id).is_ok());
    }
    assert_eq!(node.document()["destroyed"][0]["id"], own.id);
}

#[actix::test]
async fn the_start_destroys_what_became_due_while_the_node_was_off() {
    let node = Node::new();
    let kms = node.start();
    let own = key(&kms).await;
    kms.schedule_deletion(by(), &own.id, Some(30), KeyUse::default()).await.unwrap();
    node.days_pass(40);
    let kms = node.start();
    // Any message comes after what the actor does when it starts.
    key(&kms).await;
    assert!(matches!(kms.find(&own.id), Err(KmsError::Destroyed { .. })));
}

#[actix::test]
async fn rotation_seals_anew_and_opens_what_was() {
    let node = Node::new();
    let kms = node.start();
    let own = key(&kms).await;
    let first = kms.encrypt(&own.id, b"plain", &EncryptionContext::default()).unwrap();
    assert_eq!(kms.rotate(by(), &own.id).await.unwrap().materials().len(), 2);
    let second = kms.encrypt(&own.id, b"plain", &EncryptionContext::default()).unwrap();
    assert_eq!((first.version, second.version), (1, 2));
    for kms in [kms, node.start()] {
        for ciphertext in [&first, &second] {
            let (plain, key) = kms.decrypt(&ciphertext.blob, None, &EncryptionContext::default()).unwrap();
            assert_eq!((plain.as_slice(), &key.id), (&b"plain"[..], &own.id));
        }
    }
}

#[actix::test]
async fn automatic_rotation_keeps_its_days() {
    let node = Node::new();
    let kms = node.start();
    let own = key(&kms).await;
    for days in [0, 89, 2561] {
        assert!(matches!(kms.set_rotation(by(), &own.id, Some(days)).await, Err(KmsError::Validation(_))));
    }
    let rotated = kms.set_rotation(by(), &own.id, Some(90)).await.unwrap();
    assert_eq!(rotated.rotation.unwrap().next(), node.clock_now().after(90 * DAY));
    let materials = |kms: &KmsClient| -> Vec<Cause> {
        kms.find(&own.id).unwrap().materials().iter().map(|material| material.cause).collect()
    };
    node.days_pass(89);
    key(&kms).await;
    assert_eq!(materials(&kms), [Cause::Created]);
    node.days_pass(1);
    key(&kms).await;
    assert_eq!(materials(&kms), [Cause::Created, Cause::Automatic]);

    // A key that is off is not rotated, but as soon as it is on again.
    kms.disable(by(), &own.id).await.unwrap();
    node.days_pass(100);
    key(&kms).await;
    assert_eq!(materials(&kms).len(), 2);
    kms.enable(by(), &own.id).await.unwrap();
    kms.rotate(by(), &own.id).await.unwrap();
    assert_eq!(materials(&kms), [Cause::Created, Cause::Automatic, Cause::Automatic, Cause::OnDemand]);
    let off = kms.set_rotation(by(), &own.id, None).await.unwrap();
    assert_eq!(off.rotation, None);
    node.days_pass(1000);
    key(&kms).await;
    assert_eq!(materials(&kms).len(), 4);
}

#[actix::test]
async fn aliases_move_between_keys() {
    let node = Node::new();
    let kms = node.start();
    let (one, two) = (key(&kms).await, key(&kms).await);
    kms.create_alias(by(), "alias/a", &one.id).await.unwrap();
    let taken = kms.create_alias(by(), "alias/a", &two.id).await.unwrap_err();
    assert!(matches!(&taken, KmsError::AlreadyExists { arn } if arn.ends_with(":alias/a")), "{taken}");
    let with_taken = CreateKey { alias: Some("alias/a".to_owned()), ..new_key() };
    assert!(matches!(kms.create_key(by(), with_taken).await, Err(KmsError::AlreadyExists { .. })));
    assert_eq!(kms.keys().unwrap().len(), 2, "none was made");
    kms.update_alias(by(), "alias/a", &two.arn).await.unwrap();
    assert_eq!(kms.find("alias/a").unwrap().id, two.id);
    assert_eq!(kms.find(&one.id).unwrap().aliases, Vec::<String>::new());
    kms.delete_alias(by(), ACCOUNT, "alias/a").await.unwrap();
    for gone in [kms.delete_alias(by(), ACCOUNT, "alias/a").await, kms.update_alias(by(), "alias/a", &one.id).await] {
        assert!(matches!(gone, Err(KmsError::NotFound(_))));
    }
    for (alias, reserved) in [("a", false), ("alias/", false), ("alias/a b", false), (DEFAULT_ALIAS, true)] {
        let error = kms.create_alias(by(), alias, &one.id).await.unwrap_err();
        assert_eq!(matches!(error, KmsError::ReservedAlias), reserved, "{alias}: {error}");
        assert_eq!(matches!(error, KmsError::InvalidAliasName), !reserved, "{alias}: {error}");
    }
    for number in 0..50 {
        kms.create_alias(by(), &format!("alias/{number}"), &one.id).await.unwrap();
    }
    assert!(matches!(kms.create_alias(by(), "alias/50", &one.id).await, Err(KmsError::LimitExceeded(_))));
}

#[actix::test]
async fn each_account_has_aliases_of_its_own() {
    const OTHER: &str = "444455556666";
    let node = Node::new();
    let kms = node.start();
    let own = key(&kms).await;
    let other = kms.create_key(by(), CreateKey { account: OTHER.to_owned(), ..new_key() }).await.unwrap();
    kms.create_alias(by(), "alias/x", &own.id).await.unwrap();
    assert!(matches!(kms.find_for(OTHER, "alias/x"), Err(KmsError::NotFound(_))), "another account's is none");
    assert_eq!(kms.find("alias/x").unwrap().id, own.id, "the only one of this name");
    kms.create_alias(by(), "alias/x", &other.id).await.unwrap();
    let default = kms.ensure_default_key().await.unwrap();
    for kms in [kms.clone(), node.start()] {
        for (account, key) in [(ACCOUNT, &own), (OTHER, &other)] {
            assert_eq!(kms.find_for(account, "alias/x").unwrap().id, key.id);
            assert_eq!(kms.find_for(account, DEFAULT_ALIAS).unwrap().id, default.id);
            let arn = format!("arn:aws:kms:us-east-1:{account}:alias/x");
            assert_eq!(kms.find_for(ACCOUNT, &arn).unwrap().id, key.id, "whoever asks");
        }
        assert!(matches!(kms.find("alias/x"), Err(KmsError::NotFound(_))), "nobody knows which one");
        assert_eq!(kms.aliases().unwrap().len(), 3);
    }
    let third = key(&kms).await;
    kms.update_alias(by(), "alias/x", &third.id).await.unwrap();
    assert_eq!(kms.find_for(OTHER, "alias/x").unwrap().id, other.id);
    kms.delete_alias(by(), ACCOUNT, "alias/x").await.unwrap();
    assert!(matches!(kms.find_for(ACCOUNT, "alias/x"), Err(KmsError::NotFound(_))));
    assert_eq!(kms.find_for(OTHER, "alias/x").unwrap().aliases, ["alias/x"]);
}

#[actix::test]
async fn an_account_takes_no_more_room_than_its_own() {
    let node = Node::new();
    let kms = node.start();
    let big = |account: &str| CreateKey {
        account: account.to_owned(),
        policy: Some(format!("{POLICY}{}", " ".repeat(30_000))),
        ..CreateKey::default()
    };
    let mut made = Vec::new();
    let full = loop {
        match kms.create_key(by(), big(ACCOUNT)).await {
            Ok(key) => made.push(key),
            Err(error) => break error,
        }
        assert!(made.len() < 200);
    };
    assert!(matches!(&full, KmsError::LimitExceeded(reason) if reason.starts_with("The account")), "{full}");
    assert!(made.len() > 50, "{}", made.len());
    kms.create_key(by(), big("444455556666")).await.unwrap();
    kms.disable(by(), &made[0].id).await.unwrap();
    kms.put_policy(by(), &made[0].id, None).await.unwrap();
    key(&kms).await;
}

#[actix::test]
async fn the_default_key_is_made_once_and_is_the_nodes_own() {
    let node = Node::new();
    let kms = node.start();
    assert!(KmsClient::is_default_key("") && KmsClient::is_default_key("alias/aws/s3"));
    assert!(matches!(kms.seal_with_key("", EncryptionContext::default(), false, &HERE), Err(KmsError::NotFound(_))));
    let made = kms.ensure_default_key().await.unwrap();
    assert_eq!(kms.ensure_default_key().await.unwrap().id, made.id);
    assert_eq!((made.manager, made.account.as_str()), (KeyManager::Node, NODE_ACCOUNT));
    for name in ["", DEFAULT_ALIAS, &made.arn] {
        let sealed = kms.seal_with_key(name, EncryptionContext::default(), false, &HERE).unwrap();
        assert_eq!(kms.open(&sealed.encryption, &HERE, None).unwrap().expose(), sealed.key.expose());
    }
    for refused in [
        kms.disable(by(), &made.id).await,
        kms.rotate(by(), &made.id).await,
        kms.set_rotation(by(), &made.id, None).await,
        kms.put_policy(by(), &made.id, None).await,
        kms.schedule_deletion(by(), &made.id, None, KeyUse::default()).await.map(|(key, _)| key),
        kms.tag(by(), &made.id, vec![("a".to_owned(), "b".to_owned())]).await,
        kms.update_description(by(), &made.id, "mine").await,
    ] {
        assert!(matches!(refused, Err(KmsError::ManagedByNode { .. })));
    }
    node.days_pass(366);
    key(&kms).await;
    assert_eq!(kms.find(&made.id).unwrap().materials().len(), 2, "rotated each year");
    assert_eq!(node.start().ensure_default_key().await.unwrap().id, made.id);
}

#[actix::test]
async fn tags_descriptions_and_policies_have_their_limits() {
    let node = Node::new();
    let kms = node.start();
    let own = key(&kms).await;
    let tag = |name: &str, value: &str| vec![(name.to_owned(), value.to_owned())];
    kms.tag(by(), &own.id, tag("a b", "c:d/é")).await.unwrap();
    kms.tag(by(), &own.id, tag("a b", "")).await.unwrap();
    assert_eq!(kms.find(&own.id).unwrap().tags["a b"], "");
    for tags in [
        tag("", "x"),
        tag("aws:x", "x"),
        tag(&"x".repeat(129), "x"),
        tag("x", &"x".repeat(257)),
        tag("x\n", "x"),
        [tag("x", "1"), tag("x", "2")].concat(),
    ] {
        assert!(matches!(kms.tag(by(), &own.id, tags.clone()).await, Err(KmsError::Tag(_))), "{tags:?}");
    }
    let many: Vec<_> = (0..49).map(|number| (number.to_string(), String::new())).collect();
    kms.tag(by(), &own.id, many).await.unwrap();
    assert!(matches!(kms.tag(by(), &own.id, tag("50", "")).await, Err(KmsError::LimitExceeded(_))));
    let few = kms.untag(by(), &own.id, vec!["a b".to_owned(), "none".to_owned()]).await.unwrap();
    assert_eq!(few.tags.len(), 49);

    let longest = "ü".repeat(DESCRIPTION_CHARACTERS_MAX);
    assert_eq!(kms.update_description(by(), &own.id, &longest).await.unwrap().description, longest);
    let longer = format!("{longest}x");
    assert!(matches!(kms.update_description(by(), &own.id, &longer).await, Err(KmsError::Validation(_))));
    let described = CreateKey { description: longer, ..new_key() };
    assert!(matches!(kms.create_key(by(), described).await, Err(KmsError::Validation(_))));

    for policy in ["", "[]", "{", "{}", &format!("{{\"a\":\"{}\"}}", "x".repeat(40_000))] {
        let put = kms.put_policy(by(), &own.id, Some(policy.to_owned())).await;
        assert!(matches!(put, Err(KmsError::MalformedPolicy(_))), "{policy}");
    }
    let put = kms.put_policy(by(), &own.id, Some(POLICY.to_owned())).await.unwrap();
    assert_eq!(policy_of(&put).as_deref(), Some(POLICY), "as it was put");
    assert_eq!(policy_of(&kms.put_policy(by(), &own.id, None).await.unwrap()), None);
}

#[actix::test]
async fn changes_are_told_to_the_audit_log_without_materials() {
    let mut node = Node::new();
    let folder = node.folder.path().join("audit");
    let settings = crate::audit::AuditSettings { folder: folder.clone(), bytes_max: 1 << 20 };
    node.settings.audit = AuditLog::start(settings, node.clock.clone());
    let kms = node.start();
    let made = kms.create_key(by(), CreateKey { alias: Some("alias/a".to_owned()), ..new_key() }).await.unwrap();
    kms.rotate(by(), &made.id).await.unwrap();
    kms.enable(by(), &made.id).await.unwrap();
    kms.schedule_deletion(by(), &made.id, Some(7), KeyUse { objects: 3, uploads: 1 }).await.unwrap();
    node.days_pass(8);
    let _ = kms.cancel_deletion(by(), &made.id).await;
    let text = fs::read_to_string(folder.join("audit.jsonl")).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let told: Vec<_> = lines
        .iter()
        .map(|line| {
            let target = line["target"].as_str().unwrap();
            let kind = target.rsplit(':').next().unwrap().split('/').next().unwrap();
            (line["action"].as_str().unwrap(), kind, line["principal"].as_str().unwrap())
        })
        .collect();
    let ann = "arn:aws:iam::111122223333:user/ann";
    assert_eq!(
        told,
        [
            ("kms:CreateKey", "alias", ann),
            ("kms:CreateKey", "key", ann),
            ("kms:RotateKeyOnDemand", "key", ann),
            ("kms:ScheduleKeyDeletion", "key", ann),
            ("kms:DeleteKey", "alias", "kms"),
            ("kms:DeleteKey", "key", "kms"),
        ],
        "enabling what is enabled is no change"
    );
    assert_eq!(lines[1]["after"]["materials"][0]["sealed"], "********");
    let after = &lines[3]["after"];
    assert_eq!(
        (&after["state"], &after["affected_objects"], &after["affected_uploads"]),
        (&"pending_deletion".into(), &3.into(), &1.into())
    );
    assert_eq!(lines[5]["after"], Value::Null);
}

impl Node {
    fn clock_now(&self) -> Stamp {
        use crate::clock::Clock as _;
        self.clock.now()
    }
}

/// What others added must not keep anybody from disabling or deleting a key.
#[actix::test]
async fn a_full_file_takes_no_more_keys_but_keeps_those_in_order() {
    let node = Node::new();
    let one = key(&node.start()).await;
    node.edit(|document| document["padding"] = "x".repeat(13 << 20).into());
    let kms = node.start();
    assert!(matches!(kms.create_key(by(), new_key()).await, Err(KmsError::LimitExceeded(_))));
    let tag = vec![("name".to_owned(), "value".to_owned())];
    assert!(matches!(kms.tag(by(), &one.id, tag).await, Err(KmsError::LimitExceeded(_))));
    kms.disable(by(), &one.id).await.unwrap();
    kms.enable(by(), &one.id).await.unwrap();
    assert!(matches!(kms.rotate(by(), &one.id).await, Err(KmsError::LimitExceeded(_))));
    kms.set_rotation(by(), &one.id, Some(90)).await.unwrap();
    kms.ensure_default_key().await.unwrap();
    kms.schedule_deletion(by(), &one.id, Some(7), KeyUse::default()).await.unwrap();
    kms.cancel_deletion(by(), &one.id).await.unwrap();
}
