//! Data keys of objects.

use super::*;
use crate::encryption::{CustomerCheck, CustomerKey, Encryption, EncryptionError, Method};

/// What cannot be opened, whatever it is.
fn assert_wrong(kms: &KmsClient, encryption: &Encryption, name: &ObjectName<'_>) {
    let opened = kms.open(encryption, name, None);
    assert!(matches!(opened, Err(KmsError::Encryption(EncryptionError::WrongKey))), "{opened:?}");
}

#[actix::test]
async fn a_data_key_opens_for_its_own_object_only() {
    let node = Node::new();
    let kms = node.start();
    let own = key(&kms).await;
    let pairs = context(&[("department", "a"), ("b", "")]);
    for sealed in [
        kms.seal_managed(&HERE).unwrap(),
        kms.seal_with_key(&own.id, EncryptionContext::default(), false, &HERE).unwrap(),
        kms.seal_with_key(&own.arn, pairs.clone(), true, &HERE).unwrap(),
    ] {
        let opened = kms.open(&sealed.encryption, &HERE, None).unwrap();
        assert_eq!(opened.expose(), sealed.key.expose());
        assert_eq!(sealed.encryption.wrapped_key.len(), 64);
        assert_wrong(&kms, &sealed.encryption, &THERE);
        for at in 0..sealed.encryption.wrapped_key.len() {
            let mut bent = sealed.encryption.clone();
            bent.wrapped_key[at] ^= 1;
            assert_wrong(&kms, &bent, &HERE);
            bent.wrapped_key.truncate(at);
            assert_wrong(&kms, &bent, &HERE);
        }
    }
}

#[actix::test]
async fn context_version_and_key_are_authenticated() {
    let node = Node::new();
    let kms = node.start();
    let (own, other) = (key(&kms).await, key(&kms).await);
    let sealed = kms.seal_with_key(&own.id, context(&[("a", "b")]), false, &HERE).unwrap().encryption;
    kms.rotate(by(), &own.id).await.unwrap();
    let method = |change: &dyn Fn(&mut String, &mut u32, &mut EncryptionContext)| {
        let Method::Kms { mut key_id, mut version, mut context, bucket_key } = sealed.method.clone() else {
            unreachable!()
        };
        change(&mut key_id, &mut version, &mut context);
        Encryption { method: Method::Kms { key_id, version, context, bucket_key }, ..sealed.clone() }
    };
    assert!(kms.open(&method(&|_, _, _| {}), &HERE, None).is_ok());
    assert_wrong(&kms, &method(&|_, _, pairs| *pairs = context(&[("a", "c")])), &HERE);
    assert_wrong(&kms, &method(&|_, _, pairs| *pairs = EncryptionContext::default()), &HERE);
    assert_wrong(&kms, &method(&|_, version, _| *version = 2), &HERE);
    assert_wrong(&kms, &method(&|_, version, _| *version = 9), &HERE);
    assert_wrong(&kms, &method(&|key, _, _| key.clone_from(&other.id)), &HERE);
    let unknown = method(&|key, _, _| "00000000-0000-4000-8000-000000000000".clone_into(key));
    assert!(matches!(kms.open(&unknown, &HERE, None), Err(KmsError::NotFound(_))));
    let long = context(&[("a", &"x".repeat(9000))]);
    assert!(matches!(kms.seal_with_key(&own.id, long, false, &HERE), Err(KmsError::Validation(_))));
}

#[actix::test]
async fn a_key_that_is_off_gives_nothing_away() {
    let node = Node::new();
    let kms = node.start();
    let own = key(&kms).await;
    let seal = || kms.seal_with_key(&own.id, EncryptionContext::default(), false, &HERE);
    let sealed = seal().unwrap().encryption;
    kms.disable(by(), &own.id).await.unwrap();
    assert!(matches!(kms.open(&sealed, &HERE, None), Err(KmsError::Disabled { .. })));
    assert!(matches!(seal(), Err(KmsError::Disabled { .. })));
    assert!(matches!(kms.rewrap(&sealed, &HERE, None), Err(KmsError::Disabled { .. })));
    kms.schedule_deletion(by(), &own.id, None).await.unwrap();
    assert!(matches!(kms.open(&sealed, &HERE, None), Err(KmsError::PendingDeletion { .. })));
    assert!(matches!(seal(), Err(KmsError::PendingDeletion { .. })));
}

#[actix::test]
async fn rewrapping_moves_to_the_newest_material_or_another_key() {
    let node = Node::new();
    let kms = node.start();
    let (own, other) = (key(&kms).await, key(&kms).await);
    let pairs = context(&[("a", "b")]);
    let sealed = kms.seal_with_key(&own.id, pairs.clone(), true, &HERE).unwrap();
    let rewrap = |encryption: &Encryption, to: Option<&str>| kms.rewrap(encryption, &HERE, to).unwrap();
    assert_eq!(rewrap(&sealed.encryption, None), None);
    assert_eq!(rewrap(&sealed.encryption, Some(&own.arn)), None);
    kms.rotate(by(), &own.id).await.unwrap();
    let newest = rewrap(&sealed.encryption, None).unwrap();
    let elsewhere = rewrap(&newest, Some(&other.arn)).unwrap();
    for (encryption, id, expected) in [(&newest, &own.id, 2), (&elsewhere, &other.id, 1)] {
        assert_eq!(
            kms.open(encryption, &HERE, None).unwrap().expose(),
            sealed.key.expose(),
            "the bytes stay as they are"
        );
        let Method::Kms { key_id, version, context, bucket_key } = &encryption.method else { unreachable!() };
        assert_eq!((key_id, *version, context, *bucket_key), (id, expected, &pairs, true));
        assert_wrong(&kms, encryption, &THERE);
    }
    assert!(matches!(kms.rewrap(&newest, &THERE, Some(&other.id)), Err(KmsError::Encryption(_))));
    let managed = kms.seal_managed(&HERE).unwrap().encryption;
    assert_eq!(rewrap(&managed, Some(&own.id)), None, "it is under no KMS key");
}

#[actix::test]
async fn a_customers_key_needs_nothing_of_the_node() {
    let node = Node::new();
    let kms = node.with(|settings| (settings.encryption_enabled, settings.kms_enabled) = (false, false));
    let customer = CustomerKey::from_bytes(&[3; 32]);
    let sealed = customer.seal(&HERE).unwrap();
    assert_eq!(kms.open(&sealed.encryption, &HERE, Some(&customer)).unwrap().expose(), sealed.key.expose());
    let opened = kms.open(&sealed.encryption, &HERE, None);
    assert!(matches!(opened, Err(KmsError::Encryption(EncryptionError::KeyNeeded))));
    let opened = kms.open(&sealed.encryption, &HERE, Some(&CustomerKey::from_bytes(&[4; 32])));
    assert!(matches!(opened, Err(KmsError::Encryption(EncryptionError::WrongKey))));
    assert_eq!(kms.rewrap(&sealed.encryption, &HERE, None).unwrap(), None);
}

/// Computed by other means (Python's `cryptography`) from what `docs/encryption.md` and `docs/kms.md` say.
#[actix::test]
async fn wrapped_keys_are_the_documented_ones() {
    let vectors: Value = serde_json::from_str(include_str!("../../encryption/vectors.json")).unwrap();
    let text = |of: &str, name: &str| vectors[of][name].as_str().unwrap().to_owned();
    let bytes = |of: &str, name: &str| hex::decode(text(of, name)).unwrap();
    let opened = |kms: &KmsClient, of: &str, method: Method, customer: Option<&CustomerKey>| {
        let (bucket, key) = (text(of, "bucket"), text(of, "key"));
        let encryption = Encryption { method, wrapped_key: bytes(of, "wrapped_key") };
        let key = kms.open(&encryption, &ObjectName { bucket: &bucket, key: &key }, customer).unwrap();
        assert_eq!(key.expose().as_slice(), bytes(of, "data_key"));
    };
    let node = Node::new();
    let kms = node.with(|settings| settings.master_key = Some(SecretKey::new(&text("managed", "master_key"))));
    opened(&kms, "managed", Method::Managed { master: text("managed", "master_id") }, None);
    let customer = CustomerKey::from_bytes(&bytes("customer", "customer_key").try_into().unwrap());
    let salt = bytes("customer", "salt").try_into().unwrap();
    let check = CustomerCheck { salt, mac: bytes("customer", "mac").try_into().unwrap() };
    opened(&kms, "customer", Method::Customer(check), Some(&customer));
}
