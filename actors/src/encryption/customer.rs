//! SSE-C: the customer brings the key with each request. Of it only a salted HMAC is kept, by which a wrong key is told from
//! damage (S3 User Guide, "Using server-side encryption with customer-provided keys").

use aws_lc_rs::hmac;
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

use super::{DataKey, Encryption, EncryptionError, Envelope, Method, ObjectName};

const WRAP_INFO: &[u8] = b"myfsio sse-c wrapping key v1";

/// What is kept of a customer's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CustomerCheck {
    /// Random, of each object or upload its own.
    pub salt: [u8; 16],
    /// HMAC-SHA256 of the key under the salt.
    pub mac: [u8; 32],
}

/// A key that a customer brought.
#[derive(Debug, Clone)]
pub struct CustomerKey(DataKey);

impl CustomerKey {
    /// The key of these bytes.
    pub fn from_bytes(bytes: &[u8; 32]) -> Self {
        Self(DataKey::from_bytes(bytes))
    }

    /// A fresh data key for an object, wrapped under this key. Errs: NoRandomness.
    pub fn seal(&self, name: &ObjectName<'_>) -> Result<Envelope, EncryptionError> {
        let mut salt = [0; 16];
        getrandom::fill(&mut salt).map_err(|_| EncryptionError::NoRandomness)?;
        let mac = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &salt), self.0.expose());
        let mac = mac.as_ref().try_into().map_err(|_| EncryptionError::WrongKey)?;
        let key = DataKey::random()?;
        let wrapped_key = self.wrapping_key(&salt)?.wrap(&key, name.arn().as_bytes())?;
        let method = Method::Customer(CustomerCheck { salt, mac });
        Ok(Envelope { key, encryption: Encryption { method, wrapped_key } })
    }

    /// Whether this is the key of which `check` was kept; takes the same time whatever it is.
    pub fn is(&self, check: &CustomerCheck) -> bool {
        hmac::verify(&hmac::Key::new(hmac::HMAC_SHA256, &check.salt), self.0.expose(), &check.mac).is_ok()
    }

    /// The data key of an object. Errs: WrongKey, also when the object is not sealed under a customer's key.
    pub fn open(&self, encryption: &Encryption, name: &ObjectName<'_>) -> Result<DataKey, EncryptionError> {
        match &encryption.method {
            Method::Customer(check) if self.is(check) => {
                self.wrapping_key(&check.salt)?.unwrap(&encryption.wrapped_key, name.arn().as_bytes())
            }
            _ => Err(EncryptionError::WrongKey),
        }
    }

    fn wrapping_key(&self, salt: &[u8]) -> Result<DataKey, EncryptionError> {
        let mut key = Zeroizing::new([0; 32]);
        let kdf = Hkdf::<Sha256>::new(Some(salt), self.0.expose());
        kdf.expand(WRAP_INFO, &mut *key).map_err(|_| EncryptionError::WrongKey)?;
        Ok(DataKey::from_bytes(&key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_customers_own_key_opens() {
        let (own, other) = (CustomerKey::from_bytes(&[1; 32]), CustomerKey::from_bytes(&[2; 32]));
        let here = ObjectName { bucket: "things", key: "a" };
        let Envelope { key, encryption } = own.seal(&here).unwrap();
        assert_eq!(own.open(&encryption, &here).unwrap().expose(), key.expose());
        assert_eq!(other.open(&encryption, &here).unwrap_err(), EncryptionError::WrongKey);
        let there = ObjectName { bucket: "things", key: "b" };
        assert_eq!(own.open(&encryption, &there).unwrap_err(), EncryptionError::WrongKey, "of another object");
        let again = own.seal(&here).unwrap();
        assert_ne!(again.key.expose(), key.expose());
        assert_ne!(again.encryption, encryption, "salted");
    }
}
