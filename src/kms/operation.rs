//! The one table of operations of the KMS (KMS API Reference, "Actions"), with the members of the requests of those that are built.
//! Pure.

macro_rules! operation_table {
    ($($name:ident $({ $($member:ident)* })?;)+) => {
        /// An operation, by the name that the API Reference gives it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[allow(missing_docs, reason = "the names are those of the API Reference")]
        pub enum Operation { $($name,)+ }

        impl Operation {
            /// Every operation.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// Its name.
            pub fn name(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)+ }
            }

            /// The permission of the same name, which all operations but ReEncrypt take.
            pub fn permission(self) -> &'static str {
                match self { $(Self::$name => concat!("kms:", stringify!($name)),)+ }
            }

            /// The members of its request; none where it is not built.
            pub fn members(self) -> Option<&'static [&'static str]> {
                match self { $(Self::$name => operation_table!(@members $({ $($member)* })?),)+ }
            }
        }
    };
    (@members) => { None };
    (@members { $($member:ident)* }) => { Some(&[$(stringify!($member)),*]) };
}

operation_table! {
    CancelKeyDeletion { KeyId };
    ConnectCustomKeyStore;
    CreateAlias { AliasName TargetKeyId };
    CreateCustomKeyStore;
    CreateGrant;
    CreateKey {
        BypassPolicyLockoutSafetyCheck CustomerMasterKeySpec CustomKeyStoreId Description KeySpec KeyUsage MultiRegion Origin Policy
        Tags XksKeyId
    };
    Decrypt { CiphertextBlob DryRun DryRunModifiers EncryptionAlgorithm EncryptionContext GrantTokens KeyId Recipient };
    DeleteAlias { AliasName };
    DeleteCustomKeyStore;
    DeleteImportedKeyMaterial;
    DeriveSharedSecret;
    DescribeCustomKeyStores;
    DescribeKey { GrantTokens KeyId };
    DisableKey { KeyId };
    DisableKeyRotation { KeyId };
    DisconnectCustomKeyStore;
    EnableKey { KeyId };
    EnableKeyRotation { KeyId RotationPeriodInDays };
    Encrypt { DryRun EncryptionAlgorithm EncryptionContext GrantTokens KeyId Plaintext };
    GenerateDataKey { DryRun EncryptionContext GrantTokens KeyId KeySpec NumberOfBytes Recipient };
    GenerateDataKeyPair;
    GenerateDataKeyPairWithoutPlaintext;
    GenerateDataKeyWithoutPlaintext { DryRun EncryptionContext GrantTokens KeyId KeySpec NumberOfBytes };
    GenerateMac;
    GenerateRandom { CustomKeyStoreId NumberOfBytes Recipient };
    GetKeyLastUsage;
    GetKeyPolicy { KeyId PolicyName };
    GetKeyRotationStatus { KeyId };
    GetParametersForImport;
    GetPublicKey;
    ImportKeyMaterial;
    ListAliases { KeyId Limit Marker };
    ListGrants;
    ListKeyPolicies { KeyId Limit Marker };
    ListKeyRotations { IncludeKeyMaterial KeyId Limit Marker };
    ListKeys { Limit Marker };
    ListResourceTags { KeyId Limit Marker };
    ListRetirableGrants;
    PutKeyPolicy { BypassPolicyLockoutSafetyCheck KeyId Policy PolicyName };
    ReEncrypt {
        CiphertextBlob DestinationEncryptionAlgorithm DestinationEncryptionContext DestinationKeyId DryRun DryRunModifiers GrantTokens
        SourceEncryptionAlgorithm SourceEncryptionContext SourceKeyId
    };
    ReplicateKey;
    RetireGrant;
    RevokeGrant;
    RotateKeyOnDemand { KeyId };
    ScheduleKeyDeletion { KeyId PendingWindowInDays };
    Sign;
    TagResource { KeyId Tags };
    UntagResource { KeyId TagKeys };
    UpdateAlias { AliasName TargetKeyId };
    UpdateCustomKeyStore;
    UpdateKeyDescription { Description KeyId };
    UpdatePrimaryRegion;
    Verify;
    VerifyMac;
}

impl Operation {
    /// The operation that goes by a name.
    pub fn find(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|operation| operation.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use myfsio_actors::policy_engine::find_action;

    use super::*;

    #[test]
    fn the_table_is_sound() {
        assert!(Operation::ALL.is_sorted_by_key(|operation| operation.name()));
        for operation in Operation::ALL {
            assert_eq!(Operation::find(operation.name()), Some(*operation));
            if operation.members().is_some() && *operation != Operation::ReEncrypt {
                let known = find_action(operation.permission()).map(|row| row.checks);
                assert_eq!(known, Some(operation.permission()), "{}", operation.name());
            }
        }
        assert_eq!(Operation::find("Fly"), None);
    }

    #[test]
    fn what_is_not_built_has_no_members() {
        assert_eq!(Operation::Sign.members(), None);
        assert_eq!(Operation::EnableKey.members(), Some(&["KeyId"][..]));
    }
}
