//! Round trips, damage of every kind, and the fixed vectors that other languages are tested with, too.

use std::io;

use proptest::prelude::*;
use serde_json::Value;

use crate::chunks::ciphertext_bytes;
use crate::key::{DataKey, Fresh};
use crate::*;

const SEALED: usize = CHUNK_BYTES + TAG_BYTES;

fn key(seed: u8) -> ClientKey {
    key_from_base64(&base64(&[seed; 32])).unwrap()
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

fn data(size: usize) -> Vec<u8> {
    (0..size).map(|i| (i ^ (i >> 8) ^ (i >> 16)) as u8).collect()
}

fn context(pairs: &[(&str, &str)]) -> Context {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn changed(metadata: &Metadata, name: &str, value: &str) -> Metadata {
    Metadata::from_pairs(metadata.pairs().map(|(n, v)| (n, if n == name { value } else { v }))).unwrap()
}

#[test]
fn keys_are_text_and_back() {
    let (one, two) = (generate_key().unwrap(), generate_key().unwrap());
    assert_ne!(*key_to_base64(&one), *key_to_base64(&two));
    let text = key_to_base64(&one);
    assert_eq!((text.len(), key_from_base64(&format!(" {}\n", *text)).unwrap().id()), (44, one.id()));
    assert!(!format!("{one:?}").contains(text.as_str()));
    for text in ["", "AAAA", "not base64", &base64(&[0; 31]), &base64(&[0; 33]), &base64(&[0; 32])[..43]] {
        assert!(matches!(key_from_base64(text), Err(Error::NotAKey)), "{text}");
    }
}

#[test]
fn all_lengths_come_back() {
    let key = key(1);
    for size in [0, 1, 15, 16, 17, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES, 200_001] {
        let plaintext = data(size);
        let (ciphertext, metadata) = encrypt_for_upload(&plaintext, &key).unwrap();
        assert_eq!(ciphertext.len(), ciphertext_bytes(size));
        assert_eq!(decrypt_from_download(&ciphertext, &metadata, &key).unwrap(), plaintext, "{size}");
    }
}

#[test]
fn nothing_is_used_twice() {
    let (a, b) = (encrypt_for_upload(b"same", &key(1)).unwrap(), encrypt_for_upload(b"same", &key(1)).unwrap());
    assert_ne!(a.0, b.0);
    let ([(_, ak), (_, ai), _], [(_, bk), (_, bi), _]) = (a.1.pairs(), b.1.pairs());
    assert!(ak != bk && ai != bi);
}

#[test]
fn the_wrong_key_is_named() {
    let (ciphertext, metadata) = encrypt_for_upload(b"text", &key(1)).unwrap();
    let error = decrypt_from_download(&ciphertext, &metadata, &key(2)).unwrap_err();
    assert!(matches!(&error, Error::WrongKey { wanted, given } if *wanted == key(1).id() && *given == key(2).id()));
    // Also when the metadata are made to name it.
    let [_, _, (_, matdesc)] = metadata.pairs();
    let forged = changed(&metadata, MATDESC, &matdesc.replace(&key(1).id(), &key(2).id()));
    assert!(matches!(decrypt_from_download(&ciphertext, &forged, &key(2)), Err(Error::DamagedMetadata)));
}

#[test]
fn each_value_is_needed_and_found_under_each_of_its_names() {
    let (ciphertext, metadata) = encrypt_for_upload(b"text", &key(1)).unwrap();
    assert_eq!(Metadata::from_pairs(metadata.headers()).unwrap(), metadata);
    let upper = metadata.headers().map(|(name, value)| (name.to_uppercase(), format!(" {value} ")));
    assert_eq!(Metadata::from_pairs(upper).unwrap(), metadata);
    for missing in [KEY, IV, MATDESC] {
        let others = metadata.pairs().into_iter().filter(|(name, _)| *name != missing);
        assert!(matches!(Metadata::from_pairs(others), Err(Error::Missing(name)) if name == missing));
    }
    let other = encrypt_for_upload(b"text", &key(1)).unwrap().1;
    for (name, value) in other.pairs().into_iter().filter(|(name, _)| *name != MATDESC) {
        let mixed = changed(&metadata, name, value);
        assert!(matches!(decrypt_from_download(&ciphertext, &mixed, &key(1)), Err(Error::DamagedMetadata)), "{name}");
    }
    assert!(matches!(decrypt_from_download(&ciphertext, &other, &key(1)), Err(Error::Damaged { offset: 0 })));
}

#[test]
fn metadata_of_others_are_told_apart() {
    let (ciphertext, metadata) = encrypt_for_upload(b"text", &key(1)).unwrap();
    let [_, _, (_, own)] = metadata.pairs();
    let error =
        |name, value: &str| decrypt_from_download(&ciphertext, &changed(&metadata, name, value), &key(1)).unwrap_err();
    for matdesc in ["{}", r#"{"kms_cmk_id":"x"}"#, &own.replace(":1,", ":2,"), &own.replace("GCM", "CBC")] {
        assert!(matches!(error(MATDESC, matdesc), Error::Unsupported(_)), "{matdesc}");
    }
    for matdesc in [
        "",
        "[]",
        "{",
        &own.replace("key_id", "key"),
        &own.replace(&key(1).id(), "x"),
        &own.replace(":1,", r#":1,"v":1,"#),
    ] {
        assert!(matches!(error(MATDESC, matdesc), Error::Malformed(MATDESC, _)), "{matdesc}");
    }
    for value in ["", "AAAA", "*"] {
        assert!(
            matches!(error(KEY, value), Error::Malformed(KEY, _))
                && matches!(error(IV, value), Error::Malformed(IV, _))
        );
    }
    let long = "A".repeat(2049);
    assert!(matches!(
        Metadata::from_pairs([(KEY, &long), (IV, &long), (MATDESC, &long)]),
        Err(Error::Malformed(KEY, _))
    ));
}

#[test]
fn the_context_is_authenticated() {
    let (key, context_of) = (key(1), context(&[("bucket", "photos"), ("key", "a \"b\"\\c")]));
    let encryptor = Encryptor::new(&key, &context_of).unwrap();
    let metadata = encryptor.metadata().clone();
    let decryptor = Decryptor::new(&metadata, &key).unwrap();
    assert_eq!(*decryptor.context(), context_of);
    decryptor.require_context(&context_of).unwrap();
    for other in
        [Context::new(), context(&[("bucket", "photos")]), context(&[("bucket", "photo"), ("key", "a \"b\"\\c")])]
    {
        assert!(matches!(decryptor.require_context(&other), Err(Error::OtherContext { .. })));
    }
    let [_, _, (_, matdesc)] = metadata.pairs();
    let forged = changed(&metadata, MATDESC, &matdesc.replace("photos", "others"));
    assert!(matches!(Decryptor::new(&forged, &key), Err(Error::DamagedMetadata)));
    for bad in [context(&[("a", "é")]), context(&[("a\n", "")]), context(&[("a", &"x".repeat(1024))])] {
        assert!(matches!(Encryptor::new(&key, &bad), Err(Error::BadContext(_))));
    }
}

/// Four chunks, the last of one byte.
fn sample() -> (Vec<u8>, Metadata) {
    encrypt_for_upload(&data(3 * CHUNK_BYTES + 1), &key(1)).unwrap()
}

#[test]
fn whole_chunks_that_are_moved_are_noticed() {
    let (whole, metadata) = sample();
    let parts: Vec<&[u8]> = whole.chunks(SEALED).collect();
    let error = |order: &[usize]| {
        let body: Vec<u8> = order.iter().flat_map(|n| parts[*n].to_vec()).collect();
        decrypt_from_download(&body, &metadata, &key(1)).unwrap_err()
    };
    assert!(matches!(error(&[1, 0, 2, 3]), Error::Damaged { offset: 0 }));
    assert!(matches!(error(&[0, 1, 1, 2, 3]), Error::Damaged { offset } if offset == 2 * SEALED as u64));
    assert!(matches!(error(&[0, 2, 3]), Error::Damaged { offset } if offset == SEALED as u64));
    assert!(matches!(error(&[0, 1]), Error::CutOff { bytes } if bytes == 2 * SEALED as u64));
    assert!(matches!(error(&[0, 1, 2]), Error::CutOff { .. }));
    assert!(matches!(error(&[]), Error::CutOff { bytes: 0 }));
    assert!(matches!(error(&[3]), Error::Damaged { offset: 0 }));
}

#[test]
fn what_follows_the_end_is_noticed() {
    let (mut full, metadata) = encrypt_for_upload(&data(CHUNK_BYTES), &key(1)).unwrap();
    full.push(0);
    let error = decrypt_from_download(&full, &metadata, &key(1)).unwrap_err();
    assert!(matches!(error, Error::Continued { offset } if offset == SEALED as u64));
    let (mut short, metadata) = encrypt_for_upload(b"text", &key(1)).unwrap();
    short.push(0);
    assert!(matches!(decrypt_from_download(&short, &metadata, &key(1)), Err(Error::Damaged { offset: 0 })));
}

#[test]
fn an_empty_last_chunk_is_not_another_spelling() {
    let fresh = || Fresh { data_key: DataKey::copy_of(&[7; 32]).unwrap(), wrap_nonce: [8; 12], iv: [9; 7] };
    let metadata = Encryptor::with(fresh(), &key(1), &Context::new()).unwrap().metadata().clone();
    let mut chunks = chunks::Chunks::new(&fresh().data_key, fresh().iv);
    let (mut first, mut second) = (data(CHUNK_BYTES), Vec::new());
    chunks.seal(&mut first, false).unwrap();
    chunks.seal(&mut second, true).unwrap();
    let error = decrypt_from_download(&[first, second].concat(), &metadata, &key(1)).unwrap_err();
    assert!(matches!(error, Error::Damaged { offset } if offset == SEALED as u64));
}

#[test]
fn only_verified_chunks_are_written_and_errors_of_streams_are_told() {
    struct Failing;
    impl io::Read for Failing {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("gone"))
        }
    }
    impl io::Write for Failing {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::Error::other("full"))
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let (whole, metadata) = sample();
    let mut out = Vec::new();
    let cut = &whole[..whole.len() - 1];
    assert!(Decryptor::new(&metadata, &key(1)).unwrap().copy(cut, &mut out).is_err());
    assert_eq!(out, data(3 * CHUNK_BYTES));
    let new = || Encryptor::new(&key(1), &Context::new()).unwrap();
    assert!(matches!(new().copy(Failing, io::sink()), Err(Error::Read(_))));
    assert!(matches!(new().copy(&b"x"[..], Failing), Err(Error::Write(_))));
}

#[test]
fn the_vectors_hold() {
    let vectors: Value = serde_json::from_str(include_str!("../vectors.json")).unwrap();
    let vectors = vectors.as_array().unwrap();
    assert!(vectors.len() >= 4);
    for vector in vectors {
        let text = |name: &str| vector[name].as_str().unwrap().to_owned();
        let bytes = |name: &str| hex::decode(text(name)).unwrap();
        let key = key_from_base64(&text("key")).unwrap();
        let plaintext = bytes("plaintext_unit").repeat(vector["plaintext_repeat"].as_u64().unwrap() as usize);
        let context: Context = serde_json::from_value(vector["context"].clone()).unwrap();
        let fresh = Fresh {
            data_key: DataKey::copy_of(&bytes("data_key")).unwrap(),
            wrap_nonce: bytes("wrap_nonce").try_into().unwrap(),
            iv: bytes("iv").try_into().unwrap(),
        };
        let encryptor = Encryptor::with(fresh, &key, &context).unwrap();
        let metadata: Context = serde_json::from_value(vector["metadata"].clone()).unwrap();
        let metadata = Metadata::from_pairs(&metadata).unwrap();
        assert_eq!((key.id(), encryptor.metadata()), (text("key_id"), &metadata), "{}", text("name"));
        let mut ciphertext = Vec::new();
        encryptor.copy(&plaintext[..], &mut ciphertext).unwrap();
        let digest = hex::encode(<sha2::Sha256 as sha2::Digest>::digest(&ciphertext));
        assert_eq!(digest, text("ciphertext_sha256"), "{}", text("name"));
        if let Some(whole) = vector["ciphertext"].as_str() {
            assert_eq!(hex::encode(&ciphertext), whole);
        }
        assert_eq!(decrypt_from_download(&ciphertext, &metadata, &key).unwrap(), plaintext);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_was_encrypted_comes_back(plaintext in proptest::collection::vec(any::<u8>(), 0..200_000), seed in any::<u8>()) {
        let (ciphertext, metadata) = encrypt_for_upload(&plaintext, &key(seed)).unwrap();
        prop_assert_eq!(decrypt_from_download(&ciphertext, &metadata, &key(seed)).unwrap(), plaintext);
    }

    #[test]
    fn every_flipped_bit_is_noticed(size in 0..150_000usize, place in any::<prop::sample::Index>(), bit in 0..8u32) {
        let (mut ciphertext, metadata) = encrypt_for_upload(&data(size), &key(1)).unwrap();
        let at = place.index(ciphertext.len());
        ciphertext[at] ^= 1 << bit;
        let begin = (at - at % SEALED) as u64;
        let error = decrypt_from_download(&ciphertext, &metadata, &key(1)).unwrap_err();
        prop_assert!(matches!(error, Error::Damaged { offset } if offset == begin), "{}", error);
    }

    #[test]
    fn every_cut_is_noticed(size in 0..150_000usize, place in any::<prop::sample::Index>()) {
        let (ciphertext, metadata) = encrypt_for_upload(&data(size), &key(1)).unwrap();
        let cut = &ciphertext[..place.index(ciphertext.len())];
        prop_assert!(decrypt_from_download(cut, &metadata, &key(1)).is_err());
    }

    #[test]
    fn every_changed_character_of_the_metadata_is_noticed(which in 0..3usize, place in any::<prop::sample::Index>(), to in "[ -~]") {
        let (ciphertext, metadata) = encrypt_for_upload(b"text", &key(1)).unwrap();
        let (name, value) = metadata.pairs()[which];
        let at = place.index(value.len());
        prop_assume!(value[at..=at] != to);
        let value = format!("{}{to}{}", &value[..at], &value[at + 1..]);
        prop_assert!(decrypt_from_download(&ciphertext, &changed(&metadata, name, &value), &key(1)).is_err());
    }

    #[test]
    fn any_metadata_are_judged_without_harm(key_text in ".{0,80}", iv in ".{0,20}", matdesc in ".{0,200}") {
        let metadata = Metadata::from_pairs([(KEY, key_text), (IV, iv), (MATDESC, matdesc)]).unwrap();
        prop_assert!(decrypt_from_download(b"anything", &metadata, &key(1)).is_err());
    }
}
