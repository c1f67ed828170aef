//! What clients encrypt.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};

use super::*;

fn invalid(kms: &KmsClient, blob: &[u8], context: &EncryptionContext) -> bool {
    let decrypted = kms.decrypt(blob, None, context);
    matches!(decrypted, Err(KmsError::InvalidCiphertext | KmsError::KeyOfCiphertextNotFound))
}

#[actix::test]
async fn a_blob_tells_its_key_and_opens_under_no_other() {
    let node = Node::new();
    let kms = node.start();
    let (own, other) = (key(&kms).await, key(&kms).await);
    kms.create_alias(by(), "alias/own", &own.id).await.unwrap();
    let (right, wrong) = (context(&[("a", "b"), ("c", "d")]), context(&[("a", "bc"), ("d", "")]));
    let ciphertext = kms.encrypt("alias/own", b"plain", &right).unwrap();
    assert_eq!((&ciphertext.key.id, ciphertext.version), (&own.id, 1));
    assert_eq!(kms.key_of(&ciphertext.blob).unwrap().id, own.id);
    let decrypt = |key: Option<&str>, context: &EncryptionContext| kms.decrypt(&ciphertext.blob, key, context);
    for name in [None, Some("alias/own"), Some(own.id.as_str()), Some(own.arn.as_str())] {
        assert_eq!(decrypt(name, &right).unwrap().0.as_slice(), b"plain");
    }
    assert!(matches!(decrypt(Some(&other.id), &right), Err(KmsError::IncorrectKey)));
    assert!(matches!(decrypt(Some("alias/none"), &right), Err(KmsError::NotFound(_))));
    for context in [&wrong, &EncryptionContext::default(), &context(&[("a", "b")])] {
        assert!(matches!(decrypt(None, context), Err(KmsError::InvalidCiphertext)));
    }
}

#[actix::test]
async fn each_flipped_bit_is_noticed() {
    let node = Node::new();
    let kms = node.start();
    let (own, right) = (key(&kms).await, context(&[("a", "b")]));
    kms.rotate(by(), &own.id).await.unwrap();
    let blob = kms.encrypt(&own.id, b"some plain text", &right).unwrap().blob;
    for at in 0..blob.len() {
        for bit in 0..8 {
            let mut bent = blob.clone();
            bent[at] ^= 1 << bit;
            assert!(invalid(&kms, &bent, &right), "byte {at}, bit {bit}");
        }
        assert!(invalid(&kms, &blob[..at], &right));
        assert!(invalid(&kms, &blob[at + 1..], &right));
    }
    assert!(invalid(&kms, &[&blob[..], &[0]].concat(), &right));
    assert!(invalid(&kms, &vec![1; 7000], &right));
}

#[actix::test]
async fn an_object_key_is_no_blob() {
    let node = Node::new();
    let kms = node.start();
    let own = key(&kms).await;
    let blob = kms.encrypt(&own.id, &[0; 32], &EncryptionContext::default()).unwrap().blob;
    let sealed = kms.seal_with_key(&own.id, EncryptionContext::default(), false, &HERE).unwrap().encryption;
    let forged = [&blob[..blob.len() - sealed.wrapped_key.len()], &sealed.wrapped_key[..]].concat();
    for pairs in [EncryptionContext::default(), context(&[("aws:s3:arn", &HERE.arn())])] {
        assert!(invalid(&kms, &forged, &pairs), "data keys of objects are not for clients");
    }
}

#[actix::test]
async fn sizes_have_their_limits() {
    let node = Node::new();
    let kms = node.start();
    let (own, none) = (key(&kms).await, EncryptionContext::default());
    for (bytes, is_good) in [(0, false), (1, true), (PLAINTEXT_BYTES_MAX, true), (PLAINTEXT_BYTES_MAX + 1, false)] {
        let encrypted = kms.encrypt(&own.id, &vec![7; bytes], &none);
        match is_good {
            true => assert_eq!(kms.decrypt(&encrypted.unwrap().blob, None, &none).unwrap().0.len(), bytes),
            false => assert!(matches!(encrypted, Err(KmsError::Validation(_)))),
        }
    }
    for (bytes, is_good) in [(0, false), (1, true), (16, true), (1024, true), (1025, false)] {
        assert_eq!(kms.generate_random(bytes).map(|random| random.len()).ok(), is_good.then_some(bytes));
        let generated = kms.generate_data_key(&own.id, bytes, &none);
        assert_eq!(generated.is_ok(), is_good);
        if let Ok(generated) = generated {
            let opened = kms.decrypt(&generated.ciphertext.blob, None, &none).unwrap().0;
            assert_eq!(opened, generated.plaintext);
        }
    }
    assert_ne!(kms.generate_random(32).unwrap(), kms.generate_random(32).unwrap());
    let long = context(&[("a", &"x".repeat(9000))]);
    assert!(matches!(kms.encrypt(&own.id, b"x", &long), Err(KmsError::Validation(_))));
    let off = node.with(|settings| settings.kms_enabled = false);
    assert!(matches!(off.encrypt(&own.id, b"x", &none), Err(KmsError::KmsDisabled)));
    assert!(matches!(off.generate_random(1), Err(KmsError::KmsDisabled)));
}

#[actix::test]
async fn re_encryption_goes_from_key_to_key() {
    let node = Node::new();
    let kms = node.start();
    let (one, two) = (key(&kms).await, key(&kms).await);
    let (from, to) = (context(&[("a", "b")]), context(&[("c", "d")]));
    let blob = kms.encrypt(&one.id, b"plain", &from).unwrap().blob;
    let anew = kms.re_encrypt(&blob, (None, &from), (&two.id, &to)).unwrap();
    assert_eq!((&anew.from.id, &anew.to.key.id), (&one.id, &two.id));
    assert_eq!(kms.decrypt(&anew.to.blob, None, &to).unwrap().0.as_slice(), b"plain");
    kms.rotate(by(), &one.id).await.unwrap();
    let newest = kms.re_encrypt(&blob, (Some(&one.id), &from), (&one.id, &from)).unwrap();
    assert_eq!(newest.to.version, 2);
    let wrong = kms.re_encrypt(&blob, (Some(&two.id), &from), (&one.id, &from));
    assert!(matches!(wrong, Err(KmsError::IncorrectKey)));
    assert!(matches!(kms.re_encrypt(&blob, (None, &to), (&one.id, &from)), Err(KmsError::InvalidCiphertext)));
    kms.disable(by(), &two.id).await.unwrap();
    assert!(matches!(kms.re_encrypt(&blob, (None, &from), (&two.id, &to)), Err(KmsError::Disabled { .. })));
}

#[actix::test]
async fn any_bytes_come_back_under_their_context_and_no_other() {
    let node = Node::new();
    let kms = node.start();
    let own = key(&kms).await;
    let pairs = || prop::collection::btree_map(".{0,6}", ".{0,6}", 0..4).prop_map(EncryptionContext);
    let plain = prop::collection::vec(any::<u8>(), 1..200);
    let run = TestRunner::new(Config::with_cases(200)).run(&(plain, pairs(), pairs()), |(plain, right, other)| {
        let blob = kms.encrypt(&own.id, &plain, &right).map_err(|error| TestCaseError::fail(error.to_string()))?.blob;
        let opened = kms.decrypt(&blob, None, &right).unwrap().0;
        prop_assert_eq!(opened.as_slice(), plain.as_slice());
        prop_assert_eq!(invalid(&kms, &blob, &other), right != other);
        Ok(())
    });
    run.unwrap();
    let noise = prop::collection::vec(any::<u8>(), 0..200);
    let run = TestRunner::default().run(&noise, |noise| {
        prop_assert!(invalid(&kms, &noise, &EncryptionContext::default()));
        Ok(())
    });
    run.unwrap();
}
