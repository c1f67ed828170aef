//! Using keys.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use myfsio_actors::encryption::EncryptionContext;
use myfsio_actors::kms::{BLOB_BYTES_MAX, GeneratedKey, PLAINTEXT_BYTES_MAX};
use serde_json::{Value, json};

use super::{refuse_grant_tokens, refuse_unsupported};
use crate::kms::access::Question;
use crate::kms::call::Call;
use crate::kms::error::refusal;
use crate::kms::fields::{missing, validation};
use crate::s3::error::{ErrorCode, S3Error};

/// Most random bytes at once.
const RANDOM_BYTES_MAX: u32 = 1024;
/// The one algorithm of a symmetric key.
const ALGORITHM: &str = "SYMMETRIC_DEFAULT";

/// Encrypt.
pub fn encrypt(call: &Call<'_>) -> Result<Value, S3Error> {
    check_common(call, &["EncryptionAlgorithm"])?;
    let plaintext = call.fields.blob("Plaintext", PLAINTEXT_BYTES_MAX)?;
    let context = call.fields.context("EncryptionContext")?;
    let key = call.key_for("kms:Encrypt", call.fields.key("KeyId")?, with(&context))?;
    let encrypted = call.kms().encrypt(&key.id, &plaintext, &context).map_err(refusal)?;
    unless_dry(call, || {
        json!({
            "CiphertextBlob": STANDARD.encode(&encrypted.blob),
            "KeyId": encrypted.key.arn,
            "EncryptionAlgorithm": ALGORITHM,
        })
    })
}

/// Decrypt. Which key it is, the blob tells; a key that is named must be that one.
pub fn decrypt(call: &Call<'_>) -> Result<Value, S3Error> {
    check_common(call, &["EncryptionAlgorithm"])?;
    let blob = call.fields.blob("CiphertextBlob", BLOB_BYTES_MAX)?;
    let context = call.fields.context("EncryptionContext")?;
    let named = ask_for_source(call, "kms:Decrypt", "KeyId", &blob, with(&context))?;
    let (plaintext, key) = call.kms().decrypt(&blob, named.as_deref(), &context).map_err(refusal)?;
    unless_dry(
        call,
        || json!({ "Plaintext": STANDARD.encode(&*plaintext), "KeyId": key.arn, "EncryptionAlgorithm": ALGORITHM }),
    )
}

/// ReEncrypt.
pub fn re_encrypt(call: &Call<'_>) -> Result<Value, S3Error> {
    check_common(call, &["SourceEncryptionAlgorithm", "DestinationEncryptionAlgorithm"])?;
    let fields = &call.fields;
    let blob = fields.blob("CiphertextBlob", BLOB_BYTES_MAX)?;
    let from_context = fields.context("SourceEncryptionContext")?;
    let to_context = fields.context("DestinationEncryptionContext")?;
    let to_name = fields.key("DestinationKeyId")?;
    let same = match (call.kms().key_of(&blob), call.find(to_name)) {
        (Ok(from), Ok(to)) => from.id == to.id,
        _ => false,
    };
    let question = |context| {
        move |question: &mut Question<'_>| {
            with(context)(question);
            question.add("kms:ReEncryptOnSameKey", same.to_string());
        }
    };
    let named = ask_for_source(call, "kms:ReEncryptFrom", "SourceKeyId", &blob, question(&from_context))?;
    let to = call.key_for("kms:ReEncryptTo", to_name, question(&to_context))?;
    let from = (named.as_deref(), &from_context);
    let done = call.kms().re_encrypt(&blob, from, (&to.id, &to_context)).map_err(refusal)?;
    unless_dry(call, || {
        json!({
            "CiphertextBlob": STANDARD.encode(&done.to.blob),
            "SourceKeyId": done.from.arn,
            "KeyId": done.to.key.arn,
            "SourceEncryptionAlgorithm": ALGORITHM,
            "DestinationEncryptionAlgorithm": ALGORITHM,
        })
    })
}

/// GenerateDataKey.
pub fn generate_data_key(call: &Call<'_>) -> Result<Value, S3Error> {
    let made = new_data_key(call)?;
    unless_dry(call, || {
        json!({
            "CiphertextBlob": STANDARD.encode(&made.ciphertext.blob),
            "Plaintext": STANDARD.encode(&*made.plaintext),
            "KeyId": made.ciphertext.key.arn,
        })
    })
}

/// GenerateDataKeyWithoutPlaintext.
pub fn generate_data_key_without_plaintext(call: &Call<'_>) -> Result<Value, S3Error> {
    let made = new_data_key(call)?;
    unless_dry(
        call,
        || json!({ "CiphertextBlob": STANDARD.encode(&made.ciphertext.blob), "KeyId": made.ciphertext.key.arn }),
    )
}

fn new_data_key(call: &Call<'_>) -> Result<GeneratedKey, S3Error> {
    check_common(call, &[])?;
    let fields = &call.fields;
    let bytes = match (
        fields.word("KeySpec", &["AES_256", "AES_128"])?,
        fields.number("NumberOfBytes", 1, RANDOM_BYTES_MAX)?,
    ) {
        (Some("AES_128"), None) => 16,
        (Some(_), None) => 32,
        (None, Some(bytes)) => bytes,
        (Some(_), Some(_)) | (None, None) => {
            return Err(validation("Please specify either number of bytes or key spec."));
        }
    };
    let context = fields.context("EncryptionContext")?;
    let key = call.key_for(call.operation.permission(), fields.key("KeyId")?, with(&context))?;
    call.kms().generate_data_key(&key.id, to_usize(bytes), &context).map_err(refusal)
}

/// GenerateRandom.
pub fn generate_random(call: &Call<'_>) -> Result<Value, S3Error> {
    refuse_unsupported(&call.fields, &["CustomKeyStoreId", "Recipient"])?;
    let bytes = call.fields.number("NumberOfBytes", 1, RANDOM_BYTES_MAX)?.ok_or_else(|| missing("NumberOfBytes"))?;
    call.ask_of_account()?;
    let random = call.kms().generate_random(to_usize(bytes)).map_err(refusal)?;
    Ok(json!({ "Plaintext": STANDARD.encode(&*random) }))
}

fn to_usize(bytes: u32) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

/// Errs for what is not supported, and for algorithms that are not those of a symmetric key: UnsupportedOperationException,
/// InvalidGrantTokenException, ValidationException, InvalidKeyUsageException.
fn check_common(call: &Call<'_>, algorithms: &[&str]) -> Result<(), S3Error> {
    refuse_grant_tokens(&call.fields)?;
    refuse_unsupported(&call.fields, &["Recipient", "DryRunModifiers"])?;
    for name in algorithms {
        let known = [ALGORITHM, "RSAES_OAEP_SHA_1", "RSAES_OAEP_SHA_256", "SM2PKE"];
        match call.fields.word(name, &known)? {
            None | Some(ALGORITHM) => {}
            Some(_) => return Err(ErrorCode::InvalidKeyUsageException.into()),
        }
    }
    Ok(())
}

/// Adds an encryption context to a question.
fn with(context: &EncryptionContext) -> impl FnOnce(&mut Question<'_>) {
    |question| question.add_encryption_context(context)
}

/// Asks whether the caller may do `action` with the key of a blob: the one that `member` names, whose id is answered, or the one that
/// the blob names. Errs: as [`Call::key_for`]; InvalidCiphertextException; AccessDenied for a blob of a key that is not there.
fn ask_for_source(
    call: &Call<'_>,
    action: &'static str,
    member: &str,
    blob: &[u8],
    more: impl FnOnce(&mut Question<'_>),
) -> Result<Option<String>, S3Error> {
    match call.fields.key_if(member)? {
        Some(name) => Ok(Some(call.key_for(action, name, more)?.id.clone())),
        None => {
            let key = call.kms().key_of(blob).map_err(refusal)?;
            call.ask_about(action, &key, more)?;
            Ok(None)
        }
    }
}

/// What is told, unless the request only wanted to know whether it would be. Errs: DryRunOperationException.
fn unless_dry(call: &Call<'_>, told: impl FnOnce() -> Value) -> Result<Value, S3Error> {
    match call.fields.truth("DryRun")? {
        true => Err(ErrorCode::DryRunOperationException.into()),
        false => Ok(told()),
    }
}
